"""Hugging Face in f32: with its cache, or as the reference sampler uses it, without one."""

import time

from peers import torch_alone

torch_alone.importable()

import torch  # noqa: E402
import transformers  # noqa: E402


@torch.inference_mode()
def load(peer, folder, threads):
    torch.set_num_threads(threads)
    model = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    names = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, f32"
    if peer == "reference":
        return f"the reference sampler's way (no cache): {names}", lambda *asked: bare(model, *asked)
    return f"Hugging Face: {names}", lambda *asked: cached(model, *asked)


@torch.inference_mode()
def cached(model, ids, batch, new):
    began = time.perf_counter()
    out = model(torch.tensor([ids] * batch), use_cache=True, logits_to_keep=1)
    tokens = out.logits[:, -1].argmax(-1, keepdim=True)
    first = time.perf_counter()
    for _ in range(new):
        out = model(tokens, past_key_values=out.past_key_values, use_cache=True)
        tokens = out.logits[:, -1].argmax(-1, keepdim=True)
    return first - began, time.perf_counter() - first


@torch.inference_mode()
def bare(model, ids, batch, new):
    """A token is a pass over all that came before it, with the logits of every place: `new` of them are reckoned
    from two that see as much as they do on average."""
    seen = torch.tensor([(ids + ids)[: len(ids) + new // 2]] * batch)
    began = time.perf_counter()
    model(torch.tensor([ids] * batch), use_cache=False).logits[:, -1].argmax(-1)
    first = time.perf_counter()
    for _ in range(2):
        model(seen, use_cache=False).logits[:, -1].argmax(-1)
    return first - began, (time.perf_counter() - first) / 2 * new
