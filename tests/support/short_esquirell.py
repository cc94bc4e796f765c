"""`esquirell`, whose API gives up at once and has few rows in an answer."""

from esquirell.__main__ import main
from esquirell.web.api import requests, rows

requests.END_WITHIN_S = 0.0
rows.MOST_ROWS = 5

if __name__ == "__main__":
    main()
