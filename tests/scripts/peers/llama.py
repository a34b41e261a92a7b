"""llama.cpp, q8_0 or q4_0: the library itself, without the Python around it."""

import os
import sys
import time

import gguf
import numpy as np

from peers import llama_alone
from peers.checkpoint import Checkpoint

os.environ.setdefault("LLAMA_CPP_LIB_PATH", str(llama_alone.library(sys.prefix)))

import llama_cpp  # noqa: E402
from llama_cpp import llama_cpp as lib  # noqa: E402


def load(peer, folder, threads):
    checkpoint, kind = Checkpoint(folder), peer.removeprefix("llama-")
    path = checkpoint.beside(f"{kind}.gguf", lambda path: convert(checkpoint, path, kind))
    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    assert model, f"llama.cpp does not load {path}"
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
    contexts = {}

    def run(ids, batch, new):
        if batch not in contexts:
            contexts[batch] = context(model, batch, threads, len(ids) + new + 1)
        return timed(contexts[batch], chain, ids, batch, new)

    return f"llama.cpp of llama-cpp-python {llama_cpp.__version__} with {vectors()}, {kind}", run


def context(model, batch, threads, places):
    params = lib.llama_context_default_params()
    params.n_ctx = batch * (places + 255) // 256 * 256
    params.n_batch = params.n_ubatch = 512
    params.n_seq_max = batch
    params.n_threads = params.n_threads_batch = threads
    made = lib.llama_init_from_model(model, params)
    assert made, "llama.cpp makes no context"
    return made


def timed(context, chain, ids, batch, new):
    lib.llama_memory_clear(lib.llama_get_memory(context), False)
    prompt, step = lib.llama_batch_init(len(ids), 0, 1), lib.llama_batch_init(batch, 0, 1)
    began = time.perf_counter()
    tokens = []
    for sequence in range(batch):
        for place, token in enumerate(ids):
            put(prompt, place, token, place, sequence, place + 1 == len(ids))
        decode(context, prompt)
        tokens.append(lib.llama_sampler_sample(chain, context, -1))
    first = time.perf_counter()
    for place in range(len(ids), len(ids) + new):
        for sequence in range(batch):
            put(step, sequence, tokens[sequence], place, sequence, True)
        decode(context, step)
        tokens = [lib.llama_sampler_sample(chain, context, sequence) for sequence in range(batch)]
    last = time.perf_counter()
    lib.llama_batch_free(prompt)
    lib.llama_batch_free(step)
    return first - began, last - first


def put(batch, at, token, place, sequence, wanted):
    batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.logits[at] = token, place, 1, wanted
    batch.seq_id[at][0] = sequence
    batch.n_tokens = at + 1


def decode(context, batch):
    done = lib.llama_decode(context, batch)
    assert done == 0, f"llama_decode gives {done}"


def vectors():
    text = lib.llama_print_system_info().decode()
    known = ["AVX512_VNNI", "AVX512", "AVX_VNNI", "AVX2", "NEON"]
    return next((name for name in known if f"{name} = 1" in text), "no vectors")


def convert(checkpoint, path, kind):
    small = {"q8_0": gguf.GGMLQuantizationType.Q8_0, "q4_0": gguf.GGMLQuantizationType.Q4_0}[kind]
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(checkpoint.layers)
    writer.add_context_length(checkpoint.positions)
    writer.add_embedding_length(checkpoint.width)
    writer.add_feed_forward_length(4 * checkpoint.width)
    writer.add_head_count(checkpoint.heads)
    writer.add_layer_norm_eps(checkpoint.epsilon)
    writer.add_vocab_size(checkpoint.rows)
    writer.add_tokenizer_model("no_vocab")

    def matrix(name, weight):
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(weight, small), raw_dtype=small)

    def plain(name, numbers):
        writer.add_tensor(name, np.ascontiguousarray(numbers))

    matrix("token_embd", checkpoint["wte.weight"])
    plain("position_embd.weight", checkpoint["wpe.weight"])
    for part in ["weight", "bias"]:
        plain(f"output_norm.{part}", checkpoint[f"ln_f.{part}"])
    for layer in range(checkpoint.layers):
        for theirs, ours in [("attn_norm", "ln_1"), ("ffn_norm", "ln_2")]:
            for part in ["weight", "bias"]:
                plain(f"blk.{layer}.{theirs}.{part}", checkpoint[f"h.{layer}.{ours}.{part}"])
        for theirs, ours in [
            ("attn_qkv", "attn.c_attn"),
            ("attn_output", "attn.c_proj"),
            ("ffn_up", "mlp.c_fc"),
            ("ffn_down", "mlp.c_proj"),
        ]:
            weight, bias = checkpoint.linear(f"h.{layer}.{ours}")
            matrix(f"blk.{layer}.{theirs}", weight)
            plain(f"blk.{layer}.{theirs}.bias", bias)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
