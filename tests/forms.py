"""What a browser would send of a form on a page, for tests that have none."""

from html.parser import HTMLParser

Fields = dict[str, list[str]]


class _Forms(HTMLParser):
    """Collects the fields of every form that is sent with POST, by its address."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Fields] = {}
        self._fields: Fields | None = None
        self._select = ""
        self._text_area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            is_post = given.get("method") == "post"
            self._fields = self.found.setdefault(given["action"], {}) if is_post else None
        elif self._fields is None:
            return
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option" and (self._select not in self._fields or "selected" in given):
            self._fields[self._select] = [given.get("value", "")]
        elif tag == "textarea":
            self._text_area = given["name"]
            self._fields[self._text_area] = [""]
        elif tag == "input" and "name" in given:
            self._read_input(self._fields, given)

    def _read_input(self, fields: Fields, given: dict[str, str]) -> None:
        is_choice = given.get("type") in {"checkbox", "radio"}
        if not is_choice or "checked" in given:
            fields.setdefault(given["name"], []).append(given.get("value", "on"))

    def handle_data(self, data: str) -> None:
        if self._fields is not None and self._text_area:
            self._fields[self._text_area] = [data]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._fields = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._text_area = ""


def forms_of(page: str) -> dict[str, Fields]:
    """The fields of each form as the page has them filled in, by where they are sent."""
    reader = _Forms()
    reader.feed(page)
    return reader.found
