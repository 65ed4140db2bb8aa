"""What a single qna.yaml may say, good and bad: text → what the check says of it."""

from dataclasses import dataclass

from tests.taxonomies.making import document, grounded, knowledge, pairs, seeds, skill, text
from tests.taxonomies.slips import DOUBTS, FINE, SLIPS

SKILL = "compositional_skills/a/qna.yaml"
KNOWLEDGE = "knowledge/a/qna.yaml"


@dataclass(frozen=True)
class LeafCase:
    """`wants` are parts of the problems, in order; none for a usable leaf."""

    name: str
    content: str | bytes
    wants: tuple[str, ...] = ()
    file: str = SKILL
    kind: str | None = None
    warns: str | None = None
    stricter: bool = False
    """We say more than InstructLab does, on purpose: it takes the leaf, stumbles, or skips it in silence."""


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


LEAF_CASES = [
    # Usable
    LeafCase("a freeform skill", skill(), kind="freeform"),
    LeafCase("a grounded skill", grounded(), kind="grounded"),
    LeafCase("a knowledge leaf", knowledge(), file=KNOWLEDGE, kind="knowledge"),
    LeafCase("a version 2 skill", skill(version=2), kind="freeform"),
    LeafCase("a version 1 skill with one example", skill(version=1, seed_examples=seeds(1)), kind="freeform"),
    LeafCase(
        "a skill without a version is version 1",
        skill(version=None, seed_examples=seeds(1)),
        kind="freeform",
    ),
    LeafCase("version 1 is not linted", skill(version=1).replace("version: 1", "version: 1   "), kind="freeform"),
    LeafCase("Windows line ends", skill().replace("\n", "\r\n"), kind="freeform"),
    LeafCase("old Macintosh line ends", skill().replace("\n", "\r"), kind="freeform"),
    LeafCase("a byte order mark", "\ufeff" + skill(), kind="freeform"),
    LeafCase("text in many scripts", skill(task_description="Überprüfe 日本語 и русский 🐦"), kind="freeform"),
    LeafCase("a document start marker", "---\n" + skill(), kind="freeform"),
    LeafCase("a comment before all", "# Location: somewhere\n" + skill(), kind="freeform"),
    LeafCase(
        "an alias that is used", skill().replace("Answer 0.", "&a Answer").replace("Answer 1.", "*a"), kind="freeform"
    ),
    LeafCase("a hundred seed examples", skill(seed_examples=seeds(100)), kind="freeform"),
    LeafCase("very long lines", skill(task_description="word " * 2000 + "end"), kind="freeform"),
    LeafCase(
        "a knowledge leaf with many patterns",
        knowledge(document=document(patterns=["a.md", "b/*.md"])),
        file=KNOWLEDGE,
        kind="knowledge",
    ),
    LeafCase(
        "a fourth question and answer is not used",
        knowledge(seed_examples=[{"context": f"C{n}", "questions_and_answers": pairs(4)} for n in range(5)]),
        file=KNOWLEDGE,
        kind="knowledge",
        warns="only the first 3 of 4 questions and answers are used",
    ),
    LeafCase(
        "further keys in a knowledge pair",
        knowledge(
            seed_examples=[
                {"context": f"C{n}", "questions_and_answers": [{**p, "note": "x"} for p in pairs()]} for n in range(5)
            ]
        ),
        file=KNOWLEDGE,
        kind="knowledge",
    ),
    # Versions
    LeafCase(
        "version 1 of knowledge",
        knowledge(version=1),
        ("1:10 version 1: InstructLab reads knowledge of version 3 only. Set `version: 3`",),
        KNOWLEDGE,
    ),
    LeafCase(
        "version 2 of knowledge",
        knowledge(version=2),
        ("1:10 version 2: InstructLab reads knowledge of version 3 only. Set `version: 3`",),
        KNOWLEDGE,
    ),
    LeafCase(
        "knowledge without a version",
        knowledge(version=None),
        ("1:1 no version, which means 1: InstructLab reads knowledge of version 3 only.",),
        KNOWLEDGE,
    ),
    LeafCase(
        "an unknown version", skill(version=4), ("1:10 version 4 is not known; use one of 1, 2, 3",), stricter=True
    ),
    LeafCase("a negative version", skill(version=-1), ("version -1 is not known",), stricter=True),
    LeafCase("version zero", skill(version=0), ("version 0 is not known",), stricter=True),
    LeafCase(
        "a version in quotes",
        skill(version="3"),
        ("1:10 [.version] `3` is no version; it is a whole number without quotes: write `version: 3`",),
    ),
    LeafCase(
        "a version that is a word",
        skill(version="three"),
        ("[.version] `three` is no version; it is a whole number: write `version: 3`",),
    ),
    LeafCase(
        "a version that is a list",
        skill(version=[3]),
        ("[.version] is not a number; write `version: 3`",),
    ),
    # Missing and further keys
    LeafCase("no author", skill(created_by=None), ("1:1 [.] `created_by` is missing",)),
    LeafCase("no task description", skill(task_description=None), ("1:1 [.] `task_description` is missing",)),
    LeafCase("no seed examples", skill(seed_examples=None), ("1:1 [.] `seed_examples` is missing",)),
    LeafCase(
        "nothing but a version",
        "version: 3\n",
        ("`created_by` is missing", "`task_description` is missing", "`seed_examples` is missing"),
    ),
    LeafCase("a key too many", skill(author="me"), ("15:1 [.] `author` is unknown; remove it",)),
    LeafCase(
        "a misspelt key",
        skill(seed_example=seeds()),
        ("[.] `seed_example` is unknown: did you mean `seed_examples`?",),
    ),
    LeafCase(
        "a document in a skill",
        skill(document=document()),
        ("[.] `document` is unknown; it belongs to a leaf below knowledge/; remove it",),
    ),
    LeafCase(
        "a task description in knowledge",
        knowledge(task_description="x"),
        ("`task_description` is unknown; knowledge has none; say in document_outline what the document is about",),
        KNOWLEDGE,
    ),
    LeafCase("knowledge without a domain", knowledge(domain=None), ("[.] `domain` is missing",), KNOWLEDGE),
    LeafCase(
        "knowledge without an outline",
        knowledge(document_outline=None),
        ("[.] `document_outline` is missing",),
        KNOWLEDGE,
    ),
    LeafCase("knowledge without a document", knowledge(document=None), ("[.] `document` is missing",), KNOWLEDGE),
    LeafCase(
        "a skill in the knowledge folder",
        skill(),
        ("1:1 this looks like a skill (it names no document); put it below compositional_skills/",),
        KNOWLEDGE,
        stricter=True,
    ),
    LeafCase(
        "a knowledge leaf among the skills",
        knowledge(),
        ("1:1 this looks like a knowledge leaf (it names a document); put it below knowledge/",),
        stricter=True,
    ),
    # Seed examples
    LeafCase(
        "four seed examples",
        skill(seed_examples=seeds(4)),
        ("5:1 [.seed_examples] there are 4 seed examples; at least 5 are wanted",),
    ),
    LeafCase(
        "an empty list of seed examples",
        skill(seed_examples=[]),
        ("4:16 [.seed_examples] there are no seed examples; at least 5 are wanted",),
    ),
    LeafCase(
        "seed examples that are text",
        skill(seed_examples="none"),
        ("[.seed_examples] is to be a list; write `seed_examples: [none]`, or each on a line of its own",),
    ),
    LeafCase(
        "seed examples without a value",
        skill().split("seed_examples:")[0] + "seed_examples:\n",
        ("[.seed_examples] is empty, and is to be a list",),
    ),
    LeafCase(
        "two equal seed examples",
        skill(seed_examples=[*seeds(4), seeds(1)[0]]),
        ("13:3 [.seed_examples] the seed examples 1 and 5 are the same (lines 5 and 13); change or remove one",),
    ),
    LeafCase(
        "a seed example without an answer",
        skill(seed_examples=[*seeds(4), {"question": "Q"}]),
        ("13:3 [.seed_examples[4]] `answer` is missing",),
    ),
    LeafCase(
        "a seed example without a question",
        skill(seed_examples=[*seeds(4), {"answer": "A"}]),
        ("[.seed_examples[4]] `question` is missing",),
    ),
    LeafCase(
        "an empty question",
        skill(seed_examples=[*seeds(4), {"question": "", "answer": "A"}]),
        ("13:13 [.seed_examples[4].question] is empty in seed example 5; write the text",),
    ),
    LeafCase(
        "an empty context",
        grounded(seed_examples=[*seeds(4, context=True), {**seeds(5)[4], "context": ""}]),
        ("[.seed_examples[4].context] is empty in seed example 5; write the text",),
    ),
    LeafCase(
        "an answer that is a number",
        skill(seed_examples=[*seeds(4), {"question": "Q", "answer": 42}]),
        ("[.seed_examples[4].answer] YAML reads 42 as a number; put it in quotes",),
    ),
    LeafCase(
        "an answer that is a date",
        skill().replace("Answer 4.", "2024-02-03"),
        ("YAML reads 2024-02-03 as a date; put it in quotes",),
    ),
    LeafCase(
        "an answer that is yes",
        skill().replace("Answer 4.", "yes"),
        ("YAML reads yes as a truth value; put it in quotes",),
    ),
    LeafCase(
        "an answer that is a list",
        skill(seed_examples=[*seeds(4), {"question": "Q", "answer": ["A"]}]),
        ("[.seed_examples[4].answer] is to be text, not a list; put the text in quotes",),
    ),
    LeafCase(
        "an unknown key in a seed example",
        skill(seed_examples=[*seeds(4), {**seeds(5)[4], "hint": "x"}]),
        ("15:3 [.seed_examples[4]] `hint` is unknown in seed example 5; remove it",),
    ),
    LeafCase(
        "a seed example that is text",
        skill(seed_examples=[*seeds(4), "Q and A"]),
        ("[.seed_examples[4]] is to be a mapping of keys, not text",),
    ),
    LeafCase(
        "attribution per example, as in version 1's time",
        skill(seed_examples=[{**s, "attribution": "me"} for s in seeds()]),
        ("`attribution` is unknown in seed example",) * 5,
    ),
    LeafCase(
        "the last example has no context",
        grounded(seed_examples=[*seeds(4, context=True), seeds(5)[4]]),
        ("[.seed_examples[4]] has no context, unlike the first example",),
        stricter=True,
    ),
    LeafCase(
        "the last example has a context",
        skill(seed_examples=[*seeds(4), seeds(5, context=True)[4]]),
        ("[.seed_examples[4]] has a context, unlike the first example",),
        stricter=True,
    ),
    LeafCase(
        "knowledge seeds in a skill's form",
        knowledge(seed_examples=seeds(5, context=True)),
        tuple(
            f"[.seed_examples[{n}]] `questions_and_answers` is missing in seed example {n + 1}: `question` and `answer`"
            for n in range(5)
        ),
        KNOWLEDGE,
    ),
    LeafCase(
        "two questions and answers",
        knowledge(
            seed_examples=[{"context": f"C{n}", "questions_and_answers": pairs(2 if n == 0 else 3)} for n in range(5)]
        ),
        ("8:3 [.seed_examples[0].questions_and_answers] there are 2 questions and answers in seed example 1;",),
        KNOWLEDGE,
    ),
    LeafCase(
        "two equal questions and answers",
        knowledge(
            seed_examples=[{"context": f"C{n}", "questions_and_answers": [*pairs(2), pairs(1)[0]]} for n in range(5)]
        ),
        tuple(f"the questions and answers 1 and 3 in seed example {n} are the same (lines " for n in range(1, 6)),
        KNOWLEDGE,
    ),
    # Documents
    LeafCase(
        "a document without a repository",
        knowledge(document=document(repo=None)),
        ("[.document] `repo` is missing",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a document without a commit",
        knowledge(document=document(commit=None)),
        ("[.document] `commit` is missing",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a document without patterns",
        knowledge(document=document(patterns=None)),
        ("[.document] `patterns` is missing",),
        KNOWLEDGE,
    ),
    LeafCase(
        "no pattern in the list",
        knowledge(document=document(patterns=[])),
        ("[.document.patterns] there are no patterns; at least 1 is wanted",),
        KNOWLEDGE,
    ),
    LeafCase(
        "an empty pattern",
        knowledge(document=document(patterns=[""])),
        ("[.document.patterns[0]] is empty; write the text",),
        KNOWLEDGE,
    ),
    LeafCase(
        "two equal patterns",
        knowledge(document=document(patterns=["a.md", "a.md"])),
        ("the patterns 1 and 2 are the same (lines 50 and 51); change or remove one",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a commit that YAML takes for a number",
        knowledge().replace("commit: main", "commit: 1234567"),
        ("[.document.commit] YAML reads 1234567 as a number; put it in quotes",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a commit that YAML takes for a power of ten",
        knowledge().replace("commit: main", "commit: 1.5e+23"),
        ("YAML reads 1.5e+23 as a number; put it in quotes",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a document that is text",
        knowledge(document="https://x"),
        ("[.document] is to be a mapping of keys, not text",),
        KNOWLEDGE,
    ),
    LeafCase(
        "an unknown key in a document",
        knowledge(document=document(branch="main")),
        ("[.document] `branch` is unknown; remove it",),
        KNOWLEDGE,
    ),
    # Lint
    LeafCase("trailing spaces", skill().replace("Do it.", "Do it.  "), ("3:25 trailing spaces (trailing-spaces)",)),
    LeafCase(
        "no new line at the end",
        skill().rstrip("\n"),
        ("no new line character at the end of file (new-line-at-end-of-file)",),
    ),
    LeafCase(
        "a key twice",
        skill() + "created_by: somebody else\n",
        ("15:1 the key `created_by` is here twice (first in line 2), and only the last counts; remove one",),
    ),
    LeafCase("too many blank lines", skill() + "\n\n\n", ("too many blank lines (3 > 0) (empty-lines)",)),
    LeafCase(
        "too many spaces after a colon",
        skill().replace("version: 3", "version:  3"),
        ("1:10 too many spaces after colon (colons)",),
    ),
    LeafCase(
        "list items that are indented in two ways",
        _lines(
            "version: 3",
            "created_by: a",
            "task_description: b",
            "seed_examples:",
            "  - question: q1",
            "    answer: a",
            "  - question: q2",
            "    answer: a",
            "  - question: q3",
            "    answer: a",
            "  - question: q4",
            "    answer: a",
            "  - question: q5",
            "    answer: a",
            "# fin ",
        ).replace("# fin ", "# fin  "),
        ("trailing spaces (trailing-spaces)",),
    ),
    LeafCase(
        "an alias of nothing",
        skill().replace("Answer 0.", "*nobody"),
        ("6:11 the alias *nobody stands for nothing",),
        stricter=True,
    ),
    # Not YAML, not text, not ours
    LeafCase("an empty file", "", warns="The file is empty"),
    LeafCase("only a comment", "# nothing here\n", warns="The file is empty"),
    LeafCase("only null", "null\n", warns="The file is empty"),
    LeafCase(
        "a list at the top",
        "- a\n- b\n",
        ("1:1 The file is not valid. The top-level element is not an object with key-value pairs.",),
    ),
    LeafCase("plain text", "Just a note.\n", ("The top-level element is not an object",)),
    LeafCase(
        "a tab as indentation",
        "version: 3\nseed_examples:\n\t- question: a\n",
        ("3:1 is not valid YAML: there is a tab at this place, and YAML takes no tabs there; put blanks in its place",),
        stricter=True,
    ),
    LeafCase(
        "a quote that is not closed",
        'version: 3\ncreated_by: "me\n',
        ("2:13 is not valid YAML: the quote that opens here is never closed",),
        stricter=True,
    ),
    LeafCase(
        "a bracket that is not closed",
        "version: 3\nseed_examples: [\n",
        ("is not valid YAML: a list in [ ] or a mapping in { } is not complete",),
        stricter=True,
    ),
    LeafCase(
        "a colon inside a plain value",
        "version: 3\ntask_description: note: this\n",
        ("2:23 is not valid YAML: an unquoted text has a colon and a blank in it (`note: this`)",),
        stricter=True,
    ),
    LeafCase(
        "two documents",
        skill() + "---\n" + skill(),
        ("15:1 is not valid YAML: a second document begins here (---)",),
        stricter=True,
    ),
    LeafCase(
        "a Python object",
        "version: 3\nx: !!python/object/apply:os.system ['true']\n",
        ("2:4 is not valid YAML: `!!python/object/apply:os.system` is a tag, and only plain text",),
        stricter=True,
    ),
    LeafCase(
        "a value that is not what its tag says",
        "version: 3\ntask_description: !!bool maybe\n",
        ("2:19 the value maybe is no bool",),
        stricter=True,
    ),
    LeafCase("a number without digits", "version: !!int ''\n", ("1:10 the value  is no int",), stricter=True),
    LeafCase(
        "text that is called a date", "version: !!timestamp x\n", ("1:10 the value x is no timestamp",), stricter=True
    ),
    LeafCase("one value for all", "!!bool maybe\n", ("1:1 the value maybe is no bool",), stricter=True),
    LeafCase(
        "an unknown tag",
        skill().replace("Do it.", "!secret x"),
        ("`!secret` is a tag, and only plain text, lists and mappings are taken",),
        stricter=True,
    ),
    LeafCase(
        "a date that is none",
        skill().replace("Do it.", "2024-13-45"),
        ("3:19 the value 2024-13-45 is no timestamp: month must be in 1..12",),
        stricter=True,
    ),
    LeafCase(
        "a key that is a number", skill() + "7: seven\n", ("the key 7 is not text; put it in quotes",), stricter=True
    ),
    LeafCase(
        "a key that is yes", skill() + "yes: please\n", ("the key yes is not text; put it in quotes",), stricter=True
    ),
    LeafCase("a key that is a list", skill() + "? [a, b]\n: c\n", ("a key must be text",), stricter=True),
    LeafCase(
        "Latin-1 text",
        skill(task_description="Überprüfe").encode("latin-1"),
        ("3:19 is not UTF-8 text; save it as UTF-8",),
        stricter=True,
    ),
    LeafCase("UTF-16 text", skill().encode("utf-16"), ("1:1 is not UTF-8 text",), stricter=True),
    LeafCase("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ("1:1 is not UTF-8 text",), stricter=True),
    LeafCase(
        "zero bytes",
        "version: 3\ncreated_by: a\0b\n",
        ("2:14 is not valid YAML: there is the control character U+0000; remove it",),
        stricter=True,
    ),
    LeafCase(
        "an escape character",
        "version: 3\ncreated_by: a\x1bb\n",
        ("2:14 is not valid YAML: there is the control character",),
        stricter=True,
    ),
    LeafCase(
        "a Git LFS pointer",
        "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n",
        ("is a Git LFS pointer",),
        stricter=True,
    ),
    LeafCase(
        "a merge conflict",
        "version: 3\n<<<<<<< HEAD\ncreated_by: a\n=======\ncreated_by: b\n>>>>>>> x\n",
        ("2:1 is not valid YAML: a merge conflict of Git is left in the file",),
        stricter=True,
    ),
    LeafCase(
        "JSON, which is YAML",
        '{"version": 3}\n',
        ("`created_by` is missing", "`task_description` is missing", "`seed_examples` is missing"),
    ),
    # Hostile
    LeafCase(
        "a billion laughs",
        text({"version": 3})
        + "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(8)),
        ("has more than 50000 values, aliases written out",),
        stricter=True,
    ),
    LeafCase(
        "a billion merged keys",
        "a: &a {x: 1}\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [{', '.join(['*' + chr(97 + n)] * 20)}]}}\n" for n in range(8)),
        ("has more than 50000 values, aliases written out",),
        stricter=True,
    ),
    LeafCase(
        "an alias inside itself",
        "version: 3\nseed_examples: &a [*a]\n",
        ("2:20 the alias *a is inside what it stands for",),
        stricter=True,
    ),
    LeafCase(
        "a deep nest", "a: " + "[" * 500 + "]" * 500 + "\n", ("is nested more than 32 levels deep",), stricter=True
    ),
    LeafCase(
        "a nest too deep for the parser",
        "a: " + "[" * 100_000 + "\n",
        ("is nested more than 32 levels deep",),
        stricter=True,
    ),
    LeafCase(
        "a number of a thousand digits",
        skill().replace("Do it.", "9" * 5000),
        ("3:19 the number is too long",),
        stricter=True,
    ),
    LeafCase(
        "a number to the base sixty",
        skill().replace("Do it.", "1" + ":59" * 5000),
        ("3:19 the number is too long",),
        stricter=True,
    ),
    LeafCase(
        "sixty thousand keys",
        "".join(f"k{n}: v\n" for n in range(60_000)),
        ("has more than 50000 values",),
        stricter=True,
    ),
]

LEAF_CASES += [
    LeafCase(slip.name, slip.content, (slip.want,), KNOWLEDGE if slip.knowledge else SKILL, stricter=not slip.agrees)
    for slip in SLIPS
]
LEAF_CASES += [LeafCase(slip.name, slip.content, warns=slip.want, kind=None) for slip in DOUBTS]
LEAF_CASES += [LeafCase(slip.name, slip.content, kind="freeform") for slip in FINE]
