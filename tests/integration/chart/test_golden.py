"""The rendered chart for its main value sets, as files to be read in a diff. CRDs are left out: they have their own."""

from pathlib import Path

import pytest
import yaml

from tests.integration.chart.charting import VALUE_SETS, render

HERE = Path(__file__).parent / "golden"


class Readable(yaml.SafeDumper):
    """Files within objects stay files: line by line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Readable.add_representer(str, _text)


@pytest.mark.parametrize("name", VALUE_SETS)
def test_the_chart_renders_as_recorded(name: str, update_golden: bool) -> None:
    objects = [o for o in render(VALUE_SETS[name]) if o["kind"] != "CustomResourceDefinition"]
    text = yaml.dump_all(objects, Dumper=Readable, sort_keys=False, allow_unicode=True, width=120)
    file = HERE / f"{name}.yaml"
    if update_golden:
        file.write_text(text)
    assert text == file.read_text()
