"""Debian's Chromium, steered by its own driver."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support.waiting import LIMIT_S, eventually

DESKTOP = (1280, 900)
PHONE = (390, 844)

__all__ = ["DESKTOP", "PHONE", "Keys", "Window", "chromium"]


class Window:
    """One browser window; `base` is where the page is."""

    def __init__(self, driver: Any, base: str) -> None:  # noqa: ANN401 - selenium has its own types
        self.driver = driver
        self.base = base

    def open(self, path: str = "") -> None:
        """Open a page and wait until it and its script are loaded."""
        self.driver.get(self.base + path)
        self.script("return document.readyState === 'complete'")

    def script(self, text: str, *arguments: object) -> Any:  # noqa: ANN401 - JSON is anything
        return self.driver.execute_script(text, *arguments)

    def find(self, selector: str) -> Any:  # noqa: ANN401 - an element
        return eventually(
            lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), what=selector
        )[0]

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def click(self, selector: str) -> None:
        element = self.find(selector)
        self.script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def type(self, selector: str, text: str) -> None:
        field = self.find(selector)
        self.script("arguments[0].scrollIntoView({block: 'center'})", field)
        field.clear()
        field.send_keys(text)

    @property
    def words(self) -> str:
        """What people read of the page."""
        return str(self.script("return document.body.innerText"))

    def says(self, text: str) -> None:
        """Wait until the page says something."""
        eventually(lambda: text in self.words, what=lambda: f"{text!r} in {self.words}")

    @property
    def focused(self) -> str:
        """What the element says that has the focus."""
        text = "const one = document.activeElement; return one.innerText || one.name || one.id"
        return str(self.script(text))

    def press(self, *keys: str) -> None:
        """Press keys, whatever has the focus."""
        for key in keys:
            webdriver.ActionChains(self.driver).send_keys(key).perform()

    def log_in(self, password: str) -> None:
        self.open("login")
        self.type("[name=password]", password)
        self.click("button.primary")
        eventually(lambda: "login" not in self.driver.current_url, what="the log-in")

    def media(self, **features: str) -> None:
        """Pretend to be another kind of screen: `prefers_color_scheme="dark"`."""
        named = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def printed(self) -> None:
        """Lay the page out as for a printer."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    def language(self, code: str) -> None:
        """Pretend that its user prefers another language."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd(
            "Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": code}}
        )

    def as_before(self) -> None:
        """Take back what was pretended about the screen and the language."""
        self.language("en-GB")
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1}
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", metrics | {"mobile": phone}
        )

    def picture(self, file: Path, most: int = 2000) -> None:
        """Write a picture of the whole page."""
        height = min(int(self.script("return document.documentElement.scrollHeight")), most)
        width = int(self.script("return window.innerWidth"))
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
        )
        file.write_bytes(base64.b64decode(shot["data"]))

    @property
    def complaints(self) -> list[str]:
        """What the browser complains of: errors of scripts, refused contents, missing files."""
        return [one["message"] for one in self.driver.get_log("browser")]

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(self.script("return document.documentElement.scrollWidth - window.innerWidth"))


@contextmanager
def chromium(base: str) -> Iterator[Window]:
    """Open a window of a browser that has never been here."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    options.add_argument("--headless=new")
    options.add_argument("--hide-scrollbars")
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument("--lang=en-GB")
    # Nothing is asked of anybody else: what a page would load from elsewhere fails.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    options.add_argument(f"--window-size={DESKTOP[0]},{DESKTOP[1]}")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_page_load_timeout(LIMIT_S)
    try:
        yield Window(driver, base)
    finally:
        driver.quit()
