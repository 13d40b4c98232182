"""Counts the tokens of chats with the model's tokenizer, apart from the server.

Runs in the model server's environment: `python count_tokens.py FOLDER`, with a JSON list of
`{"messages": [...], "answer": "..."}` as input; prints a list of `[prompt, answer]`.
"""

import json
import sys

from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
counts = []
for chat in json.load(sys.stdin):
    prompt = tokenizer.apply_chat_template(
        chat["messages"], add_generation_prompt=True, tokenize=False
    )
    texts = (prompt, chat["answer"])
    counts.append([len(tokenizer.encode(text, add_special_tokens=False)) for text in texts])
json.dump(counts, sys.stdout)
