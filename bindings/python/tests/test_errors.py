"""The classes of errors, beside the page that explains them."""

import os
import pickle
import re

import pytest

from tokenkeep import errors

PAGE = os.path.join(os.path.dirname(__file__), "../../../docs/errors.md")


def described():
    """The class that the page names for each code."""
    code = None
    with open(PAGE, encoding="utf-8") as page:
        for line in page:
            heading = re.match(r"## `(\w+)`", line)
            code = heading[1] if heading else code
            named = re.match(r"- \*\*Class in Python\*\*: `(\w+)`", line)
            if named:
                yield code, named[1]


CLASSES = dict(described())


def test_the_page_names_every_class():
    bases = {"Error", "PersistenceNotFound", "PersistenceEncryptionError", "PersistenceDecryptionError"}
    assert set(CLASSES.values()) == set(errors.__all__) - bases


@pytest.mark.parametrize("code", CLASSES)
def test_an_error_of_the_core_has_the_class_of_the_page(code):
    error = errors.from_native(code, "what happened", "what to do", "/place", 5, ["why", "deeper"])
    if code == "store_unavailable":
        error = errors.unavailable(error)
    assert type(error).__name__ == CLASSES[code]
    assert (str(error), error.kind, error.remedy, error.path) == ("what happened", code, "what to do", "/place")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.kind, copy.remedy) == (type(error), "what happened", code, "what to do")
