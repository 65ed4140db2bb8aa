from pathlib import Path

import pytest

from sdg_operator.api.settings import Settings
from sdg_operator.api.settings_file import SettingsError, load_settings

IMAGES = "images: {engine: example.com/engine:1, runner: example.com/runner:1}\n"


def _file(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def test_images_are_all_that_must_be_set(tmp_path: Path) -> None:
    settings = load_settings(_file(tmp_path, IMAGES))
    assert settings.images.engine == "example.com/engine:1"
    assert settings.defaults == Settings(images=settings.images).defaults


def test_every_section_is_read(tmp_path: Path) -> None:
    text = f"""{IMAGES}
defaults: {{teacherSecret: team-teacher, scaleFactor: 5, engineResources: {{limits: {{memory: 2Gi, cpu: 1}}}}}}
allowed: {{images: ["example.com/*"], fields: [generation]}}
queues: {{auxiliary: small}}
proxy: {{httpsProxy: "http://proxy:3128"}}
podSecurity: {{runAsUser: 1000}}
prices: {{currency: EUR, gpuHour: {{nvidia.com/gpu: 2.5, amd.com/gpu: 2}}}}
podLabels: {{team: a}}
"""
    settings = load_settings(_file(tmp_path, text))
    assert settings.defaults.scale_factor == 5
    assert settings.defaults.engine_resources.limits == {"memory": "2Gi", "cpu": 1}
    assert settings.allowed.fields == ["generation"]
    assert settings.queues.auxiliary == "small"
    assert settings.prices.gpu_hour == {"nvidia.com/gpu": 2.5, "amd.com/gpu": 2}
    assert settings.pod_labels == {"team": "a"}


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("defaults: {scaleFactor: 0}", "defaults.scaleFactor: 0 is too small; at least 1"),
        ("defaults: {scaleFactor: 5000}", "defaults.scaleFactor: 5000 is too large; at most 1000"),
        ("defaults: {scaleFactor: many}", "defaults.scaleFactor: should be a valid integer"),
        ("defaults: {scaleFactor: 1.5}", "defaults.scaleFactor: should be a valid integer"),
        ("defaults: {scaleFactr: 3}", "defaults.scaleFactr: there is no such setting; did you mean scaleFactor?"),
        ("defaults: {scale_factor: 3}", "defaults.scale_factor: there is no such setting; did you mean scaleFactor?"),
        ("zzz: 1", "zzz: there is no such setting; known here are allowed, defaults, images"),
        ("defaults: {pipeline: fancy}", "defaults.pipeline: 'fancy' is not one of 'simple', 'full' or 'llama'"),
        ("defaults: {prefix: ../up}", "defaults.prefix: '../up': give a folder: parts joined by '/'"),
        ("defaults: {teacherSecret: My_Secret}", "defaults.teacherSecret: 'My_Secret' has characters that are not"),
        (
            "defaults: {engineResources: {limits: {memory: 4 Gigs}}}",
            "defaults.engineResources.limits.memory: '4 Gigs': not a quantity; write it as in a pod",
        ),
        ("allowed: {fields: [teachers]}", "allowed.fields[0]: 'teachers' is not one of 'teacher', 'engine'"),
        ("allowed: {images: example.com/*}", "allowed.images: must be a list, not text ('example.com/*')"),
        ("allowed: {storageSecrets: [ok, Not Ok]}", "allowed.storageSecrets[1]: 'Not Ok' has characters"),
        ("queues: small", "queues: must be a mapping, not text ('small')"),
        ("podSecurity: {runAsUser: 0}", "podSecurity.runAsUser: 0 is too small; at least 1"),
        ("podLabels: {team: a b}", "podLabels.team: 'a b' has characters that are not allowed here"),
        ("defaults: {scaleFactor: yes}", "defaults.scaleFactor: should be a valid integer, not true or false (True)"),
        ('defaults: {scaleFactor: "3"}', "defaults.scaleFactor: should be a valid integer, not text ('3')"),
        (
            "defaults: {engineResources: {limit: {memory: 1Gi}}}",
            "defaults.engineResources.limit: there is no such setting; did you mean limits?",
        ),
        (
            "defaults: {engineResources: {limits: {'nvidia gpu': 1}}}",
            "defaults.engineResources.limits.nvidia gpu: 1: each key is a name, or a DNS domain, a slash and a name",
        ),
        (
            "defaults: {engineResources: {limits: {gpu: 1}}}",
            "defaults.engineResources.limits.gpu: 1: a resource is cpu, memory, ephemeral-storage, hugepages-2Mi",
        ),
        (
            "defaults: {engineResources: {limits: {nvidia.com/gpu: 500m}}}",
            "defaults.engineResources.limits.nvidia.com/gpu: '500m': a resource with a domain is counted in whole",
        ),
        (
            "defaults: {engineResources: {requests: {nvidia.com/gpu: 1}}}",
            "defaults.engineResources.requests.nvidia.com/gpu: 1: what has a domain (nvidia.com/gpu) or is huge",
        ),
        (
            "defaults: {mixResources: {requests: {memory: 2000Mi}, limits: {memory: 1Gi}}}",
            "defaults.mixResources.requests.memory: '2000Mi': a request is at most its limit: raise the limit or lower",
        ),
        (
            "defaults: {runnerResources: {limits: {cpu: 0.5}}}",
            "defaults.runnerResources.limits.cpu: is a fraction (0.5); write it as in a pod: 1, 500m, 16Gi, or a",
        ),
        (
            "defaults: {placement: {nodeselector: {a: b}}}",
            "defaults.placement.nodeselector: there is no such setting; did you mean nodeSelector?",
        ),
        (
            "defaults: {placement: {nodeSelector: {'a b': c}}}",
            "defaults.placement.nodeSelector.a b: 'a b': each key is a name, or a DNS domain, a slash and a name",
        ),
        (
            "defaults: {placement: {tolerations: [{key: x, operater: Exists}]}}",
            "defaults.placement.tolerations[0].operater: there is no such setting; did you mean operator?",
        ),
        (
            "defaults: {placement: {tolerations: [{key: a}, {value: x}]}}",
            "defaults.placement.tolerations[1]: {'value': 'x'}: a toleration without key is for all taints: operator",
        ),
        (
            "defaults: {placement: {tolerations: [{key: a, operator: Exists, value: x}]}}",
            "defaults.placement.tolerations[0]: {'key': 'a', 'operator': 'Exists', 'value': 'x'}: operator Exists",
        ),
        (
            "defaults: {placement: {tolerations: [{key: a, tolerationSeconds: 5}]}}",
            "defaults.placement.tolerations[0]: {'key': 'a', 'tolerationSeconds': 5}: tolerationSeconds needs effect",
        ),
        (
            "defaults: {placement: {tolerations: [{key: 'a b'}]}}",
            "defaults.placement.tolerations[0]: {'key': 'a b'}: each key is a name",
        ),
        (
            "defaults: {placement: {priorityClassName: A B}}",
            "defaults.placement.priorityClassName: 'A B' has characters",
        ),
        (
            "defaults: {placement: {labels: {sdg-operator.io/watch: x}}}",
            "defaults.placement.labels.sdg-operator.io/watch: 'sdg-operator.io/watch': labels below sdg-operator.io,",
        ),
        (
            "defaults: {placement: {annotations: {batch.kubernetes.io/x: y}}}",
            "defaults.placement.annotations.batch.kubernetes.io/x: 'batch.kubernetes.io/x': annotations below",
        ),
        (
            "defaults: {engineResources: {limits: {hugepages-big: 1Gi}}}",
            "defaults.engineResources.limits.hugepages-big: '1Gi': a resource is cpu, memory, ephemeral-storage,",
        ),
        (
            "defaults: {engineResources: {requests: {hugepages-2Mi: 64Mi}}}",
            "defaults.engineResources.requests.hugepages-2Mi: '64Mi': what has a domain (nvidia.com/gpu) or is huge",
        ),
        (
            "defaults: {mixResources: {limits: {memory: 0000000000000000000000000000000001Gi}}}",
            "defaults.mixResources.limits.memory: '0000000000000000000000000000000001Gi': not a quantity; write it",
        ),
        (
            'defaults: {mixResources: {limits: {memory: "4Gi\\n"}}}',
            "defaults.mixResources.limits.memory: '4Gi\\n': not a",
        ),
        ('defaults: {prefix: "data\\n"}', "defaults.prefix: 'data\\n': give a folder: parts joined by '/'"),
        (
            "defaults: {placement: {tolerations: [{key: a..b/c}]}}",
            "defaults.placement.tolerations[0]: {'key': 'a..b/c'}: each key is a name, or a DNS domain, a slash and",
        ),
        (f"podLabels: {{{'a' * 60}.{'b' * 200}/c: d}}", f"podLabels.{'a' * 60}.{'b' * 200}/c: "),
        (f"queues: {{auxiliary: {'q' * 64}}}", f"queues.auxiliary: '{'q' * 64}' is too long; at most 63 characters"),
        ('proxy: {httpProxy: "http://pro\\txy:1"}', "proxy.httpProxy: 'http://pro\\txy:1': write it with its scheme,"),
        ('proxy: {noProxy: "a\\0"}', "proxy.noProxy: 'a\\x00' has characters that are not allowed here"),
        (
            f"prices: {{gpuHour: {{{', '.join(f'x/{number}: 1' for number in range(33))}}}}}",
            "prices.gpuHour: has too many entries; at most 32",
        ),
        ("podLabels: {'a b': c}", "podLabels.a b: 'a b': each key is a name, or a DNS domain, a slash and a name"),
        (
            "podLabels: {job-name: x}",
            "podLabels.job-name: 'job-name': the labels controller-uid and job-name belong to",
        ),
        (
            "podLabels: {kueue.x-k8s.io/queue-name: gpus}",
            "podLabels.kueue.x-k8s.io/queue-name: 'kueue.x-k8s.io/queue-name': users put it on their DataGeneration;",
        ),
        (
            "proxy: {httpProxy: 'proxy:3128'}",
            "proxy.httpProxy: 'proxy:3128': write it with its scheme, for example http://proxy.example.com:3128",
        ),
        ("proxy: {httpsProxy: 'http://proxy:port'}", "proxy.httpsProxy: 'http://proxy:port': Port could not be cast"),
        ("proxy: {caConfigMap: My CA}", "proxy.caConfigMap: 'My CA' has characters that are not allowed here"),
        (
            "podSecurity: {runAsUser: 99999999999999}",
            "podSecurity.runAsUser: 99999999999999 is too large; at most 2147483647",
        ),
        ("limits: {deniedRanges: [10.0.0.1/8]}", "limits.deniedRanges[0]: '10.0.0.1/8': 10.0.0.1/8 has host bits set"),
        (
            "taxonomies: {deniedRanges: [internal]}",
            "taxonomies.deniedRanges[0]: 'internal': 'internal' does not appear to",
        ),
        ("defaults: {teacherPatienceSeconds: 0}", "defaults.teacherPatienceSeconds: 0 is too small; at least 1"),
        (
            "taxonomies: {allowedHosts: ['https://git.example.com']}",
            "taxonomies.allowedHosts[0]: 'https://git.example.com' has characters that are not allowed here",
        ),
        (
            "taxonomies: {allowedHosts: ['http://git.example.com/x']}",
            "taxonomies.allowedHosts[0]: 'http://git.example.com/x' has characters that are not allowed here",
        ),
        ("prices: {currency: euro}", "prices.currency: 'euro' has characters that are not allowed here; it must match"),
        ("prices: {gpuHour: {nvidia.com/gpu: -1}}", "prices.gpuHour.nvidia.com/gpu: -1 is too small; at least 0"),
        ("prices: {gpuHour: {nvidia.com/gpu: cheap}}", "prices.gpuHour.nvidia.com/gpu: should be a valid number, not"),
        ("prices: {gpuHour: {nvidia.com/gpu: .nan}}", "prices.gpuHour.nvidia.com/gpu: should be a finite number, not"),
        ("prices: {gpuHour: {gpu: 2}}", "prices.gpuHour.gpu: 'gpu': a device's name has a domain: nvidia.com/gpu,"),
        ("prices: {gpuHour: {'x/y z': 2}}", "prices.gpuHour.x/y z: 'x/y z': each key is a name, or a DNS domain, a"),
        ("limits: {workers: 0, resyncSeconds: 1}", "limits.workers: 0 is too small; at least 1"),
        ("limits: {workers: 0, resyncSeconds: 1}", "limits.resyncSeconds: 1 is too small; at least 10"),
    ],
)
def test_a_bad_value_is_named_with_what_would_be_right(tmp_path: Path, added: str, message: str) -> None:
    path = _file(tmp_path, IMAGES + added + "\n")
    with pytest.raises(SettingsError) as refused:
        load_settings(path)
    assert f"{path}:2: {message}" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults: {}", "images: is missing; it says: Images."),
        ("images: {engine: e}", "images.runner: is missing; it says: validate, fetch and sync."),
        ("", "must be a mapping that begins with `images:`, not nothing"),
        ("- a", "must be a mapping that begins with `images:`, not a list"),
        ("a: [", "settings.yaml:1: is not YAML that can be used: expected the node content"),
        ("images: {engine: a, runner: b}\n\tdefaults: {}\n", "settings.yaml:2: is not YAML that can be used: found"),
        ("a: 1\n---\nb: 2\n", "settings.yaml:2: is not YAML that can be used: but found another document"),
        ("images: 2026-99-99\n", "settings.yaml:1: images: must be a mapping, not text ('2026-99-99')"),
        ("# a\n# \x07\n", "settings.yaml:2: is not YAML that can be used: the character '\\x07' cannot be in it"),
        ("a:\n  !!bool maybe\n", "settings.yaml:2: is not YAML that can be used: 'maybe' is no bool"),
        ("a: !!timestamp soon\n", "settings.yaml:1: is not YAML that can be used: 'soon' is no timestamp"),
        (f"a:\n- 0x{'f' * 5000}\n", "settings.yaml:2: is not YAML that can be used: a number is too large"),
        ("[" * 2000, "settings.yaml:1: is not YAML that can be used: it is nested too deeply"),
        ("a: &a [*a]\n", "settings.yaml:1: a: there is no such setting"),
    ],
)
def test_a_file_that_is_no_settings_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(_file(tmp_path, text))
    assert message in str(refused.value)


MISTAKES = """\
images:
  engine: example.com/engine:1
  runer: example.com/runner:1
defaults:
  scaleFactor: many
  placement:
    tolerations:
      - key: a
      - {key: b, operater: Exists}
  scaleFactor: 30
allowed: {images: example.com/*}
limits:
  deniedRanges:
    - 10.0.0.0/8
    - internal
"""
FOUND = (
    ":1: images.runner: is missing; it says: validate, fetch and sync.",
    ":3: images.runer: there is no such setting; did you mean runner?",
    ":9: defaults.placement.tolerations[1].operater: there is no such setting; did you mean operator?",
    ":10: defaults.scaleFactor: is there twice; keep one",
    ":11: allowed.images: must be a list, not text ('example.com/*')",
    ":15: limits.deniedRanges[1]: 'internal': 'internal' does not appear to be an IPv4 or IPv6 network",
)


AT_ONCE = f"""{IMAGES}podLabels:
  a: 1
  kubernetes.io/x: y
  on: team
  int: 5
  "b\\nc": x
defaults:
  engineResources:
    limits: {{memory: 12x, gpu: 1, amd.com/gpu: 500m}}
    requests: {{nvidia.com/gpu: 1, amd.com/gpu: 1}}
  placement:
    priorityClassName: A B
    labels: {{kubernetes.io/a: b}}
    annotations: {{{", ".join(f"a{number}: x" for number in range(17))}}}
    tolerations: [{{key: a b}}, all, {{key: ok}}, {{value: x}}]
prices: {{gpuHour: {{gpu: 2, a/b: x}}}}
"""
FOUND_AT_ONCE = (
    ":3: podLabels.a: should be a valid string, not a number (1)",
    ":4: podLabels.kubernetes.io/x: 'kubernetes.io/x': labels below",
    ":5: podLabels.on: is bool to YAML, and no text; put the key in quotes",
    ":6: podLabels.int: should be a valid string, not a number (5)",
    ":7: podLabels.'b\\nc': a key is plain text on one line",
    ":10: defaults.engineResources.limits.amd.com/gpu: '500m': a resource with a domain is counted in whole devices",
    ":10: defaults.engineResources.limits.gpu: 1: a resource is cpu, memory",
    ":10: defaults.engineResources.limits.memory: '12x': not a quantity",
    ":11: defaults.engineResources.requests.nvidia.com/gpu: 1: what has a domain (nvidia.com/gpu) or is huge",
    ":13: defaults.placement.priorityClassName: 'A B' has characters that are not allowed here",
    ":14: defaults.placement.labels.kubernetes.io/a: 'kubernetes.io/a': labels below",
    ":15: defaults.placement.annotations: {'a0': 'x', 'a1': 'x', ",
    ":16: defaults.placement.tolerations[0]: {'key': 'a b'}: each key is a name",
    ":16: defaults.placement.tolerations[1]: must be a mapping, not text ('all')",
    ":16: defaults.placement.tolerations[3]: {'value': 'x'}: a toleration without key is for all taints",
    ":17: prices.gpuHour.a/b: should be a valid number, not text ('x')",
    ":17: prices.gpuHour.gpu: 'gpu': a device's name has a domain",
)


@pytest.mark.parametrize(
    ("text", "found"),
    [(MISTAKES, FOUND), (AT_ONCE, FOUND_AT_ONCE)],
    ids=["of the form", "also where a check needs the right form of the rest"],
)
def test_everything_that_is_wrong_is_told_at_once_each_with_its_line(
    tmp_path: Path, text: str, found: tuple[str, ...]
) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        load_settings(path)
    assert len(refused.value.problems) == len(found)
    for problem, beginning in zip(refused.value.problems, found, strict=True):
        assert problem.startswith(f"{path}{beginning}")


def test_what_looks_like_something_else_is_text_as_helm_writes_it(tmp_path: Path) -> None:
    placement = "defaults: {placement: {labels: {built: 2024-02-30}, annotations: {a: '=', b: 2024-02-01}}}\n"
    settings = load_settings(_file(tmp_path, f"\ufeff{IMAGES}{placement}"))
    assert settings.defaults.placement.labels == {"built": "2024-02-30"}
    assert settings.defaults.placement.annotations == {"a": "=", "b": "2024-02-01"}


def test_a_value_that_is_merged_in_is_told_with_the_line_where_it_is_written(tmp_path: Path) -> None:
    text = f"{IMAGES}defaults:\n  <<: {{maxTokens: 1,\n       scaleFactor: 5}}\n  scaleFactor: 0\n"
    with pytest.raises(SettingsError) as refused:
        load_settings(_file(tmp_path, text))
    assert [problem.split(": ", 1)[0].rpartition(":")[2] for problem in refused.value.problems] == ["3", "5"]


def test_a_setting_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"yaml:4: defaults.scaleFactor: is there twice; keep one"):
        load_settings(_file(tmp_path, f"{IMAGES}defaults:\n  scaleFactor: 3\n  scaleFactor: 5\n"))


def test_what_a_pod_may_have_is_taken(tmp_path: Path) -> None:
    text = f"""{IMAGES}
defaults:
  engineResources:
    limits: {{nvidia.com/gpu: 1, memory: 1Gi, hugepages-2Mi: 64Mi, cpu: 2}}
    requests: {{nvidia.com/gpu: "1", memory: 1024Mi, cpu: 1500m}}
  placement:
    nodeSelector: {{kubernetes.io/arch: amd64}}
    tolerations: [{{operator: Exists}}, {{key: a, value: b, effect: NoExecute, tolerationSeconds: 5}}]
    labels: {{example.com/team: a}}
    annotations: {{note: "also spaces"}}
proxy: {{httpProxy: "http://user:word@[2001:db8::1]:3128"}}
"""
    assert load_settings(_file(tmp_path, text)).defaults.engine_resources.requests["cpu"] == "1500m"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: there is no such file"):
        load_settings(tmp_path / "none.yaml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(path)
