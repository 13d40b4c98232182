"""What holds for every fact of the domain: nothing alters it once it is there."""

import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from types import ModuleType

import pytest

import ai_gateway.domain
from ai_gateway.domain.spend_list import SpendFilter, SpendSort

MODULES = [
    import_module(f"{ai_gateway.domain.__name__}.{found.name}")
    for found in pkgutil.iter_modules(ai_gateway.domain.__path__)
]


def facts(module: ModuleType) -> Iterator[type]:
    for _, found in inspect.getmembers(module, inspect.isclass):
        if found.__module__ == module.__name__ and is_dataclass(found):
            yield found


@pytest.mark.parametrize("fact", [fact for module in MODULES for fact in facts(module)])
def test_facts_are_frozen_and_have_slots(fact: type) -> None:
    assert fact.__dataclass_params__.frozen  # type: ignore[attr-defined]  # of every dataclass
    assert "__slots__" in vars(fact)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_module_says_what_it_is_for(module: ModuleType) -> None:
    assert module.__doc__


def test_words_of_the_spend_list_are_those_of_its_addresses() -> None:
    assert [str(word) for word in SpendFilter] == ["all", "warning", "exceeded", "no_limit"]
    assert "daily_used" in list(SpendSort)
