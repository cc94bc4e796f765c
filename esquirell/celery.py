"""The Celery app: `esquirell.celery:app`."""

from celery import Celery

from esquirell.runtime.connections import celery_settings

app = Celery("esquirell", include=["esquirell.tasks"], set_as_current=True)
app.add_defaults(celery_settings)
