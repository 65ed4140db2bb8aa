"""What a single qna.yaml may say, good and bad: text → what the check says of it."""

from dataclasses import dataclass

from tests.taxonomies.making import document, grounded, knowledge, pairs, seeds, skill, text

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
        ("1:10 Version 1 is not supported for knowledge. Minimum supported version is 3.",),
        KNOWLEDGE,
    ),
    LeafCase(
        "version 2 of knowledge",
        knowledge(version=2),
        ("1:10 Version 2 is not supported for knowledge. Minimum supported version is 3.",),
        KNOWLEDGE,
    ),
    LeafCase(
        "knowledge without a version",
        knowledge(version=None),
        ("Version 1 is not supported for knowledge.",),
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
        ("1:10 [.version] '3' is not of type 'integer'", "[.version] 3 was expected"),
    ),
    LeafCase(
        "a version that is a word",
        skill(version="three"),
        ("[.version] 'three' is not of type 'integer'", "[.version] 1 was expected"),
    ),
    LeafCase(
        "a version that is a list",
        skill(version=[3]),
        ("[.version] [3] is not of type 'integer'", "[.version] 1 was expected"),
    ),
    # Missing and further keys
    LeafCase("no author", skill(created_by=None), ("1:1 [.] 'created_by' is a required property",)),
    LeafCase(
        "no task description", skill(task_description=None), ("1:1 [.] 'task_description' is a required property",)
    ),
    LeafCase("no seed examples", skill(seed_examples=None), ("1:1 [.] 'seed_examples' is a required property",)),
    LeafCase(
        "nothing but a version",
        "version: 3\n",
        ("'created_by' is a required", "'task_description' is a required", "'seed_examples' is a required"),
    ),
    LeafCase(
        "a key too many", skill(author="me"), ("[.] Unevaluated properties are not allowed ('author' was unexpected)",)
    ),
    LeafCase(
        "a misspelt key",
        skill(seed_example=seeds()),
        ("Unevaluated properties are not allowed ('seed_example' was unexpected)",),
    ),
    LeafCase(
        "a document in a skill",
        skill(document=document()),
        ("Unevaluated properties are not allowed ('document' was unexpected)",),
    ),
    LeafCase(
        "a task description in knowledge",
        knowledge(task_description="x"),
        ("('task_description' was unexpected)",),
        KNOWLEDGE,
    ),
    LeafCase("knowledge without a domain", knowledge(domain=None), ("[.] 'domain' is a required property",), KNOWLEDGE),
    LeafCase(
        "knowledge without an outline",
        knowledge(document_outline=None),
        ("[.] 'document_outline' is a required property",),
        KNOWLEDGE,
    ),
    LeafCase(
        "knowledge without a document", knowledge(document=None), ("[.] 'document' is a required property",), KNOWLEDGE
    ),
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
        "four seed examples", skill(seed_examples=seeds(4)), ("5:1 [.seed_examples] Value must have at least 5 items",)
    ),
    LeafCase(
        "an empty list of seed examples",
        skill(seed_examples=[]),
        ("4:16 [.seed_examples] Value must have at least 5 items",),
    ),
    LeafCase(
        "seed examples that are text", skill(seed_examples="none"), ("[.seed_examples] 'none' is not of type 'array'",)
    ),
    LeafCase(
        "seed examples without a value",
        skill().split("seed_examples:")[0] + "seed_examples:\n",
        ("[.seed_examples] None is not of type 'array'",),
    ),
    LeafCase("two equal seed examples", skill(seed_examples=[*seeds(4), seeds(1)[0]]), ("has non-unique elements",)),
    LeafCase(
        "a seed example without an answer",
        skill(seed_examples=[*seeds(4), {"question": "Q"}]),
        ("13:3 [.seed_examples[4]] 'answer' is a required property",),
    ),
    LeafCase(
        "a seed example without a question",
        skill(seed_examples=[*seeds(4), {"answer": "A"}]),
        ("[.seed_examples[4]] 'question' is a required property",),
    ),
    LeafCase(
        "an empty question",
        skill(seed_examples=[*seeds(4), {"question": "", "answer": "A"}]),
        ("13:13 [.seed_examples[4].question] '' should be non-empty",),
    ),
    LeafCase(
        "an empty context",
        grounded(seed_examples=[*seeds(4, context=True), {**seeds(5)[4], "context": ""}]),
        ("[.seed_examples[4].context] '' should be non-empty",),
    ),
    LeafCase(
        "an answer that is a number",
        skill(seed_examples=[*seeds(4), {"question": "Q", "answer": 42}]),
        ("[.seed_examples[4].answer] 42 is not of type 'string'; put it in quotes",),
    ),
    LeafCase(
        "an answer that is a date",
        skill().replace("Answer 4.", "2024-02-03"),
        ("is not of type 'string'; put it in quotes",),
    ),
    LeafCase(
        "an answer that is yes",
        skill().replace("Answer 4.", "yes"),
        ("True is not of type 'string'; put it in quotes",),
    ),
    LeafCase(
        "an answer that is a list",
        skill(seed_examples=[*seeds(4), {"question": "Q", "answer": ["A"]}]),
        ("[.seed_examples[4].answer] ['A'] is not of type 'string'",),
    ),
    LeafCase(
        "an unknown key in a seed example",
        skill(seed_examples=[*seeds(4), {**seeds(5)[4], "hint": "x"}]),
        ("15:3 [.seed_examples[4]] Unevaluated properties are not allowed ('hint' was unexpected)",),
    ),
    LeafCase(
        "a seed example that is text",
        skill(seed_examples=[*seeds(4), "Q and A"]),
        ("[.seed_examples[4]] 'Q and A' is not of type 'object'",),
    ),
    LeafCase(
        "attribution per example, as in version 1's time",
        skill(seed_examples=[{**s, "attribution": "me"} for s in seeds()]),
        ("('attribution' was unexpected)",) * 5,
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
        ("'questions_and_answers' is a required property", "Unevaluated properties") * 5,
        KNOWLEDGE,
    ),
    LeafCase(
        "two questions and answers",
        knowledge(
            seed_examples=[{"context": f"C{n}", "questions_and_answers": pairs(2 if n == 0 else 3)} for n in range(5)]
        ),
        ("8:3 [.seed_examples[0].questions_and_answers] Value must have at least 3 items",),
        KNOWLEDGE,
    ),
    LeafCase(
        "two equal questions and answers",
        knowledge(
            seed_examples=[{"context": f"C{n}", "questions_and_answers": [*pairs(2), pairs(1)[0]]} for n in range(5)]
        ),
        ("has non-unique elements",) * 5,
        KNOWLEDGE,
    ),
    # Documents
    LeafCase(
        "a document without a repository",
        knowledge(document=document(repo=None)),
        ("[.document] 'repo' is a required property",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a document without a commit",
        knowledge(document=document(commit=None)),
        ("[.document] 'commit' is a required property",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a document without patterns",
        knowledge(document=document(patterns=None)),
        ("[.document] 'patterns' is a required property",),
        KNOWLEDGE,
    ),
    LeafCase(
        "no pattern in the list",
        knowledge(document=document(patterns=[])),
        ("[.document.patterns] Value must have at least 1 items",),
        KNOWLEDGE,
    ),
    LeafCase(
        "an empty pattern",
        knowledge(document=document(patterns=[""])),
        ("[.document.patterns[0]] '' should be non-empty",),
        KNOWLEDGE,
    ),
    LeafCase(
        "two equal patterns",
        knowledge(document=document(patterns=["a.md", "a.md"])),
        ("has non-unique elements",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a commit that YAML takes for a number",
        knowledge().replace("commit: main", "commit: 1234567"),
        ("[.document.commit] 1234567 is not of type 'string'; put it in quotes",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a commit that YAML takes for a power of ten",
        knowledge().replace("commit: main", "commit: 1.5e+23"),
        ("is not of type 'string'; put it in quotes",),
        KNOWLEDGE,
    ),
    LeafCase(
        "a document that is text",
        knowledge(document="https://x"),
        ("[.document] 'https://x' is not of type 'object'",),
        KNOWLEDGE,
    ),
    LeafCase(
        "an unknown key in a document",
        knowledge(document=document(branch="main")),
        ("('branch' was unexpected)",),
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
        ('duplication of key "created_by" in mapping (key-duplicates)',),
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
        ("3:1 is not valid YAML: found character that cannot start any token",),
        stricter=True,
    ),
    LeafCase(
        "a quote that is not closed",
        'version: 3\ncreated_by: "me\n',
        ("is not valid YAML: found unexpected end of stream",),
        stricter=True,
    ),
    LeafCase(
        "a bracket that is not closed",
        "version: 3\nseed_examples: [\n",
        ("is not valid YAML: did not find expected node content",),
        stricter=True,
    ),
    LeafCase(
        "a colon inside a plain value",
        "version: 3\ntask_description: note: this\n",
        ("2:23 is not valid YAML: mapping values are not allowed in this context",),
        stricter=True,
    ),
    LeafCase(
        "two documents", skill() + "---\n" + skill(), ("is not valid YAML: but found another document",), stricter=True
    ),
    LeafCase(
        "a Python object",
        "version: 3\nx: !!python/object/apply:os.system ['true']\n",
        ("2:4 is not valid YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/",),
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
        ("could not determine a constructor for the tag '!secret'",),
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
    LeafCase("zero bytes", "version: 3\ncreated_by: a\0b\n", ("is not valid YAML",), stricter=True),
    LeafCase("an escape character", "version: 3\ncreated_by: a\x1bb\n", ("is not valid YAML",), stricter=True),
    LeafCase(
        "a Git LFS pointer",
        "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n",
        ("is a Git LFS pointer",),
        stricter=True,
    ),
    LeafCase(
        "a merge conflict",
        "version: 3\n<<<<<<< HEAD\ncreated_by: a\n=======\ncreated_by: b\n>>>>>>> x\n",
        ("is not valid YAML",),
        stricter=True,
    ),
    LeafCase(
        "JSON, which is YAML",
        '{"version": 3}\n',
        ("'created_by' is a required", "'task_description' is a required", "'seed_examples' is a required"),
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
