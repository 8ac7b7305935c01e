from dataclasses import dataclass

import pytest

from mssdf.utils.options import move_old_keys, parse_options


@dataclass(frozen=True)
class Drawing:
    size: int = 3
    color: str = 'red'


def test_a_group_has_defaults_and_refuses_keys_that_do_not_exist():
    assert parse_options(Drawing, 'drawing', None) == Drawing()
    assert parse_options(Drawing, 'drawing', dict(size=5)) == Drawing(5)
    with pytest.raises(
        KeyError, match=r"drawing: expected some of \['size', 'color'\], found \['sise'\]"
    ):
        parse_options(Drawing, 'drawing', dict(sise=5))
    with pytest.raises(ValueError, match='drawing: expected a dictionary, found 5'):
        parse_options(Drawing, 'drawing', 5)


def test_old_keys_move_into_their_groups_and_hold_over_the_base():
    moved = dict(width='drawing.size', name='title', color='drawing.color')
    given = dict(width=7, drawing=dict(size=3, color='blue'), kept=1)
    assert move_old_keys(given, moved) == dict(drawing=dict(size=7, color='blue'), kept=1)
    assert given['drawing'] == dict(size=3, color='blue')  # the config stays as it was
    assert move_old_keys(dict(name='a', drawing=None, width=2), moved) == dict(
        title='a', drawing=dict(size=2)
    )
    with pytest.raises(ValueError, match="drawing: expected a dictionary, found 'a'"):
        move_old_keys(dict(width=7, drawing='a'), moved)
