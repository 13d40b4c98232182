"""Debian's Chromium under Playwright; nothing is downloaded."""

from playwright.sync_api import Browser, Playwright

from tests.tools import chromium

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
