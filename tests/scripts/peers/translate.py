"""CTranslate2, int8."""

import time

import ctranslate2
from ctranslate2.specs import common_spec, transformer_spec

from peers.checkpoint import Checkpoint


def load(_peer, folder, threads):
    checkpoint = Checkpoint(folder)
    path = checkpoint.beside("ctranslate2-int8", lambda path: convert(checkpoint, path))
    model = ctranslate2.Generator(path, device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads)

    def run(ids, batch, new):
        prompt = [[str(id) for id in ids]] * batch
        times = []
        began = time.perf_counter()

        def told(_step):
            times.append(time.perf_counter())
            return False

        out = model.generate_batch(
            prompt,
            max_length=new + 1,
            min_length=new + 1,
            sampling_topk=1,
            beam_size=1,
            include_prompt_in_result=False,
            callback=told,
        )
        assert all(len(one.sequences_ids[0]) == new + 1 for one in out), "it made fewer tokens"
        return times[batch - 1] - began, times[-1] - times[batch - 1]

    return f"CTranslate2 {ctranslate2.__version__}, int8", run


def convert(checkpoint, path):
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        checkpoint.layers, checkpoint.heads, pre_norm=True, activation=common_spec.Activation.GELUTanh
    )
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = checkpoint["wte.weight"]
    decoder.position_encodings.encodings = checkpoint["wpe.weight"]
    norm(decoder.layer_norm, checkpoint, "ln_f")
    decoder.projection.weight = checkpoint["wte.weight"]
    for number, layer in enumerate(decoder.layer):
        name = f"h.{number}"
        norm(layer.self_attention.layer_norm, checkpoint, f"{name}.ln_1")
        norm(layer.ffn.layer_norm, checkpoint, f"{name}.ln_2")
        for linear, part in [
            (layer.self_attention.linear[0], "attn.c_attn"),
            (layer.self_attention.linear[1], "attn.c_proj"),
            (layer.ffn.linear_0, "mlp.c_fc"),
            (layer.ffn.linear_1, "mlp.c_proj"),
        ]:
            linear.weight, linear.bias = checkpoint.linear(f"{name}.{part}")
    spec.register_vocabulary([str(id) for id in range(checkpoint.rows)])
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = str(checkpoint.config["bos_token_id"])
    spec.validate()
    spec.optimize(quantization="int8")
    path.mkdir(exist_ok=True)
    spec.save(str(path))


def norm(spec, checkpoint, name):
    spec.gamma, spec.beta = checkpoint[f"{name}.weight"], checkpoint[f"{name}.bias"]
