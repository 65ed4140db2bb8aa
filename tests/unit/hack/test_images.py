"""An image is built anew when what it is made from or made on changes, and only then."""

from hack.cluster.images import IMAGES, _key


def test_an_image_on_another_base_is_another_image() -> None:
    operator = IMAGES["sdg-operator"]
    assert _key(operator, "") == _key(operator, "")
    assert len({_key(operator, base) for base in ("", "registry.example/python:1", "registry.example/python:2")}) == 3
