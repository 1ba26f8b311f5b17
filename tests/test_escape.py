"""Text from elsewhere stays text in Markdown, figures, tables and spreadsheets."""

import plotly.graph_objects as go
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dashboard import escape
from tests.store_rows import HOSTILE

TEXT = {"text", "softbreak", "code_inline", "strong_open", "strong_close"}
"""What a sentence may consist of."""


def live(markdown: str) -> list[str]:
    """Kinds of what a renderer makes of Markdown beside text."""
    kinds = [child.type for token in MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
             for child in token.children or ()]  # fmt: skip
    blocks = [token.type for token in MarkdownIt("gfm-like", {"linkify": False}).parse(markdown) if token.level == 0]
    return [kind for kind in kinds if kind not in TEXT] + [
        block for block in blocks if block not in {"paragraph_open", "inline", "paragraph_close"}
    ]


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("[]()<>!`*_~$:\\&#|=+-@\n"), max_size=60))
def test_any_text_is_one_paragraph_of_text(text: str) -> None:
    assert set(live(escape.markdown(text))) <= {"s_open"}
    assert live(escape.markdown(text)) == []


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("[]()<>!`*_~$:\\&#|=+-@"), max_size=60))
def test_a_sentence_around_any_text_holds_code_and_bold_at_most(text: str) -> None:
    assert [kind for kind in live(escape.prose(f"Run `softh pack`: {text}")) if not kind.startswith("em_")] == []


def test_a_sentence_keeps_its_spaces_around_code() -> None:
    assert escape.prose("Run `softh pack` now, **or** later.") == "Run `softh pack` now, **or** later."


def test_the_hostile_text_shows_its_letters() -> None:
    shown = "".join(
        child.content for token in MarkdownIt("gfm-like", {"linkify": False}).parse(escape.markdown(HOSTILE))
        for child in token.children or ()
    )  # fmt: skip
    assert shown.replace("\u2060", "") == HOSTILE.replace("\x07", "\ufffd")
    assert "http://" not in shown.replace(":\u2060", "")
    assert ":material/star:" not in shown


def test_a_figure_keeps_our_tags_and_no_others() -> None:
    own = "<b>a</b><br><span style='font-size:12px;color:#123456'>b</span>"
    figure = go.Figure(go.Scatter(x=[1], y=[2], name=HOSTILE, text=[own + HOSTILE], hovertemplate=HOSTILE))
    figure.update_layout(title_text=HOSTILE, meta={"alt": HOSTILE, "names": [{"text": HOSTILE}]})
    figure.add_annotation(text=HOSTILE)
    safe = escape.figure(figure)
    assert safe.data[0].text[0].startswith(own)
    placed_later = safe.layout.meta["names"][0]["text"]
    annotation = safe.layout.annotations[0].text
    for text in (safe.data[0].name, safe.data[0].text[0], safe.layout.title.text, annotation, placed_later):
        assert "<a" not in text
        assert "&lt;a href" in text
        assert "\x07" not in text  # no SVG of the figure could be read
    assert safe.layout.meta["alt"] == HOSTILE
    clean = go.Figure(go.Scatter(x=[1], y=[2], name="a", text=[own]))
    assert escape.figure(clean) is clean


PIECES = ["<", ">", "b", "<b>", "</b>", "<br>", "<br />", "<extra></extra>", "</extra>", "<extra>", "<span style='",
          "color:#123'>", "<a href=x>", "\x00", "&lt;"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join))
def test_a_figure_is_made_again_exactly_where_its_texts_would_change(text: str) -> None:
    drawn = go.Figure(layout={"title": {"text": text}})
    found = escape.figure(drawn)
    assert (found is drawn) == (escape._neutral(text) == text)
    assert found.layout.title.text == escape._neutral(text)


def test_a_style_that_is_not_ours_is_text() -> None:
    for style in ("background:url(http://evil.example)", "color:red;background:url(x)"):
        figure = go.Figure(go.Scatter(x=[1], y=[2], name=f"<span style='{style}'>x</span>"))
        assert escape.figure(figure).data[0].name.startswith("&lt;span")


def test_no_cell_and_no_column_name_is_a_formula() -> None:
    rows = pl.DataFrame({"=cmd": [HOSTILE, "plain", None], "n": [-1, 2, 3], "b": ["@SUM(1)", "+1", "-1"]})
    safe = escape.cells(rows)
    assert safe.columns == ["'=cmd", "n", "b"]
    assert safe["'=cmd"].to_list() == [f"'{HOSTILE}", "plain", None]
    assert safe["n"].to_list() == [-1, 2, 3]
    assert safe["b"].to_list() == ["'@SUM(1)", "'+1", "'-1"]
