"""Read a training file with instructlab-training's own data processing: ``python read.py <JSON of options>``.

All that reads and checks rows is theirs, with the transformers and datasets that they ask for. Two modules stand in for
what only training needs and cannot be here: torch, of which this part uses the name of one type, and their ``utils``,
of which it uses the logging. The tokenizer is a real one that knows bytes, with their own chat template.
"""

import importlib
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, json.loads(sys.argv[1])["packages"])
os.environ["HF_HOME"] = json.loads(sys.argv[1])["out"] + "/hf"
os.environ["HF_HUB_OFFLINE"] = "1"

import datasets  # noqa: F401 - both look whether there is a torch when they are imported
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

torch = types.ModuleType("torch")
torch.Tensor = object  # type: ignore[attr-defined]
utils = types.ModuleType("instructlab.training.utils")
utils.log_rank_0 = utils.retrieve_chat_template = print  # type: ignore[attr-defined]
sys.modules |= {"torch": torch, "instructlab.training.utils": utils}
data_process: Any = importlib.import_module("instructlab.training.data_process")
chat: Any = importlib.import_module("instructlab.training.chat_templates.ibm_generic_tmpl")
del sys.modules["torch"]


def write_tokenizer(folder: Path) -> transformers.PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = {chat.SPECIAL_TOKENS.start_role.token, chat.SPECIAL_TOKENS.end_role.token, chat.SPECIAL_TOKENS.eos.token}
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in sorted(names)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=chat.SPECIAL_TOKENS.eos.token, chat_template=chat.CHAT_TEMPLATE
    )
    fast.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "granite"}))
    return fast


def main(*, file: str, out: str, packages: str) -> None:
    tokenizer = write_tokenizer(Path(out) / "model")
    data_process.process_messages_into_input_ids(
        data_path=file,
        data_output_path=f"{out}/processed",
        max_seq_len=1 << 20,
        model_path=f"{out}/model",
        num_cpu_procs=1,
    )
    with Path(out, "processed", "data.jsonl").open() as rows, Path(out, "read.jsonl").open("w") as read:
        for line in rows:
            row = json.loads(line)
            learned = [token for token in row["labels"] if token != -100]
            texts = [tokenizer.decode(tokens) for tokens in (row["input_ids"], learned)]
            print(json.dumps({"text": texts[0], "learned": texts[1]}), file=read)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
