"""Makes a tiny LLaMA with random weights and a tokenizer that is trained on the text files named.

Runs in the model server's environment: `python make_model.py FOLDER TEXT...`.

It says words, each of which is one token, until it says its end: so text that it said has one way
only to be cut into tokens, and whoever cuts it anew has to come to the same count.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    set_seed,
)

VOCABULARY = 2000
END = "<|end|>"
SPECIAL = (END, "<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
END_BIAS = 2.5
"""How much likelier than a word the end is, as a logarithm: about 50 words in the mean."""


def make(folder: Path, texts: Iterable[str]) -> None:
    tokenizer = _trained(texts)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(folder)
    _random_model(tokenizer).save_pretrained(folder)


def _trained(texts: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _random_model(tokenizer: Tokenizer) -> LlamaForCausalLM:
    set_seed(7)
    end = tokenizer.token_to_id(END)
    size = tokenizer.get_vocab_size()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=8192,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=end,
        )
    )
    said = {end, *_words(tokenizer)}
    model.generation_config = GenerationConfig(
        do_sample=True,
        top_k=0,
        eos_token_id=end,
        pad_token_id=end,
        suppress_tokens=[number for number in range(size) if number not in said],
        sequence_bias=[[[end], END_BIAS]],
    )
    return model


def _words(tokenizer: Tokenizer) -> Iterable[int]:
    """The tokens that are a space and a word, and that this text is cut into."""
    for number in range(tokenizer.get_vocab_size()):
        text = tokenizer.decode([number])
        is_word = text[:1] == " " and text[1:].isascii() and text[1:].isalpha()
        if is_word and tokenizer.encode(text).ids == [number]:
            yield number


if __name__ == "__main__":
    make(Path(sys.argv[1]), [Path(name).read_text(encoding="utf-8") for name in sys.argv[2:]])
