"""Names beside points: as many as have room, none on another."""

from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures.label_placement import PointLabel, _box, place_labels

WIDTH, HEIGHT = 500.0, 400.0
POINTS = st.lists(st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT)), max_size=60)


@given(POINTS)
def test_no_name_lies_on_another_or_leaves_the_axes(points: list[tuple[float, float]]) -> None:
    labels = [PointLabel(f"model-{i}", x, y) for i, (x, y) in enumerate(points)]
    boxes = [_box(place.label, place.side) for place in place_labels(labels, points, WIDTH, HEIGHT)]
    for i, one in enumerate(boxes):
        assert one[0] >= 0
        assert one[2] <= WIDTH
        for other in boxes[:i]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_a_name_that_is_needed_is_placed_where_there_is_no_room() -> None:
    crowd = [(x * 4.0, y * 4.0) for x in range(125) for y in range(100)]
    label = PointLabel("mine", 250.0, 200.0)
    assert place_labels([label], crowd, WIDTH, HEIGHT) == []
    assert len(place_labels([PointLabel("mine", 250.0, 200.0, needed=True)], crowd, WIDTH, HEIGHT)) == 1
