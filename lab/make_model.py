#!/usr/bin/env python3
"""Write a GGUF file of half a megabyte that a real engine loads and that says one sentence.

The practice site cannot have real weights, so it has these, under the real models' names. They are a stand-in for the
weights only: file format, tokenizer, sampling and serving are the engine's own. The network is a table of successors:
every token of a question leads to the sentence's first word, each word to the next one, and the last to the end mark.
Attention and feed-forward layers are there, with weights of zero. Because each model's sentence carries its name, an
answer shows which model gave it.

    make_model.py FILE WORD...
"""

from __future__ import annotations

import sys

import gguf
import numpy as np

WIDTH, HEADS, LAYERS, HIDDEN, CONTEXT = 64, 4, 2, 128, 32768
CONFIDENCE = 4.0  # times sqrt(WIDTH) is the logit of the successor; all others are 0


def main(path: str, words: list[str]) -> None:
    """Write the model that says ``words`` to ``path``."""
    if not 1 <= len(words) < WIDTH or len(set(words)) != len(words):
        sys.exit(f"a sentence has 1 to {WIDTH - 1} words, each of them once")
    token_type = gguf.TokenType
    tokens = [(b"<unk>", token_type.UNKNOWN), (b"<s>", token_type.CONTROL), (b"</s>", token_type.CONTROL)]
    tokens += [(f"<0x{byte:02X}>".encode(), token_type.BYTE) for byte in range(256)]
    first = len(tokens)
    tokens += [(f"\u2581{word}".encode(), token_type.NORMAL) for word in words]
    size = len(tokens)

    embedding = np.zeros((size, WIDTH), np.float32)
    embedding[:first, 0] = 1.0
    successor = np.zeros((size, WIDTH), np.float32)
    successor[first, 0] = CONFIDENCE
    for position in range(len(words)):
        embedding[first + position, position + 1] = 1.0
        following = first + position + 1 if position + 1 < len(words) else 2
        successor[following, position + 1] = CONFIDENCE

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("practice model")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _kind in tokens])
    writer.add_token_scores([-1.0 if kind == token_type.NORMAL else 0.0 for _text, kind in tokens])
    writer.add_token_types([int(kind) for _text, kind in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output.weight", successor)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        writer.add_tensor(block + "attn_norm.weight", np.ones(WIDTH, np.float32))
        writer.add_tensor(block + "ffn_norm.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}{name}.weight", np.zeros((WIDTH, WIDTH), np.float32))
        writer.add_tensor(block + "ffn_gate.weight", np.zeros((HIDDEN, WIDTH), np.float32))
        writer.add_tensor(block + "ffn_up.weight", np.zeros((HIDDEN, WIDTH), np.float32))
        writer.add_tensor(block + "ffn_down.weight", np.zeros((WIDTH, HIDDEN), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
