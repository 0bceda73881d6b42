"""What pages print is escaped as markupsafe would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined, UndefinedError
from markupsafe import Markup, escape

from atlas.site.html.escaping import EscapingEnvironment, escaped


@given(st.one_of(st.text(), st.text("&<>\"'a"), st.integers(), st.floats(), st.none()))
def test_it_is_markupsafes(value: object) -> None:
    """Texts, numbers and None, whatever is in them."""
    assert escaped(value) == str(escape(value))
    assert escaped(Markup(str(value))) == str(value)


def test_templates_print_through_it() -> None:
    """Text is escaped, HTML of a macro is not escaped twice, and a name that is not there is an error."""
    environment = EscapingEnvironment(autoescape=True, undefined=StrictUndefined)
    source = "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}{{ b(text) }} {{ text ~ 1 }}"
    assert environment.from_string(source).render(text="<&'\">") == (
        "<b>&lt;&amp;&#39;&#34;&gt;</b> &lt;&amp;&#39;&#34;&gt;1"
    )
    with pytest.raises(UndefinedError):
        environment.from_string("{{ gone }}").render()
