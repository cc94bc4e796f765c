"""Login and logout."""

import logging
import re

from tornado.web import Finish

from esquirell.domain.errors import EsquirellError
from esquirell.web.handler import Handler, ProblemError

log = logging.getLogger(__name__)

# A page of ours: nothing that a browser could take for another host.
_INSIDE = re.compile(r"[a-z][a-z0-9/_-]*(\?[\w=&%+.,:-]*)?", re.ASCII)
LONGEST_PASSWORD = 1024


class Login(Handler):
    """Asks for the password."""

    is_open = True
    page = "login"

    async def get(self) -> None:
        """Show the form; redirect if logged in already."""
        if self.session is not None or self.visit.ingress:
            self.redirect(self._target())
            return
        self._show()

    async def post(self) -> None:
        """Check the password; five wrong ones a minute from one address are allowed."""
        self._check_pace()
        password = self.get_body_argument("password", "")[:LONGEST_PASSWORD]
        if not self._is_right(password):
            self.site.wrong.note(self.visit.address)
            log.warning("a wrong password for the page came from %s", self.visit.address)
            self._check_pace()
            self.set_status(403)
            self._show(wrong=True)
            return
        self.keep_session(self.site.sessions.begin())
        self.redirect(self._target())

    def _is_right(self, password: str) -> bool:
        """Check a password in the loop: outside, many guesses at once would pass uncounted."""
        try:
            return self.site.credentials.accepts(password)
        except EsquirellError as error:
            raise ProblemError(error) from error

    def _check_pace(self) -> None:
        if wait_s := self.site.wrong.wait_s(self.visit.address):
            self.set_status(429)
            self.set_header("Retry-After", str(wait_s))
            self._show(wait_s=wait_s)
            raise Finish

    def _target(self) -> str:
        wanted = self.get_argument("next", "")
        inside = wanted if _INSIDE.fullmatch(wanted) else ""
        return f"{self.visit.base}/{inside}"

    def _show(self, *, wrong: bool = False, wait_s: int = 0) -> None:
        wanted = self.get_argument("next", "")
        ended = self.get_query_argument("ended", "") != ""
        self.render(
            "login.html",
            wrong=wrong,
            wait_s=wait_s,
            next=wanted,
            ended=ended,
            password_command=self.site.password_command,
        )


class Logout(Handler):
    """Ends the session: its cookie is invalid from now on."""

    async def post(self) -> None:
        """End the session."""
        session = self.session
        if session is not None:
            await self.compute(lambda: self.site.sessions.end(session))
            self.site.candidates.drop(session)
            self.site.app_logins.take(session)
        self.drop_session()
        self.redirect(f"{self.visit.base}/login")
