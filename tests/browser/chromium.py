"""Debian's Chromium under Playwright; nothing is downloaded."""

import shutil

from playwright.sync_api import Browser, Playwright

PROGRAM = shutil.which("chromium") or ""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS)
