"""Names of models: providers add the date of a release to them."""

import re

_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})$")


def with_and_without_date(model: str) -> tuple[str, ...]:
    """The name itself, and the same without a date at its end if there is one."""
    undated = _DATE.sub("", model)
    return (model,) if undated == model else (model, undated)
