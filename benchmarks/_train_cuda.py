"""The GPU part of the benchmark of training: tokens per second, MFU, and FP8 against BF16. Not measured yet.

The 12B has its published layer shapes, but only as many layers as one GPU holds with optimizer and gradients.
"""

from __future__ import annotations

import time

from benchmarks.harness import Claim, table, verdict

LENGTH, VOCABULARY, STEPS, WARM_UP = 8192, 131_072, 20, 5
SHAPES = {
    "1B": {
        "pattern": "M-M-M-M*-M-M-M-M*-M-M-", "hidden_size": 2048, "ffn_size": 8192, "attention_heads": 16,
        "kv_heads": 8, "mamba_heads": 64, "mamba_head_dim": 64,
    },
    "12B layers": {"pattern": "M-M-M-M*-"},
}  # fmt: skip
PRECISIONS = ("bf16", "fp8")


def main(mfu: float) -> int:
    import torch

    from nemotron_assets.recipe import load_recipe

    if not torch.cuda.is_available():
        print("this part needs a CUDA device, and PyTorch sees none")
        return 2
    rows, claims = [], []
    for name, shape in SHAPES.items():
        losses, rates = {}, {}
        for precision in PRECISIONS:
            model = load_recipe("nano2").model.model_copy(update=shape)
            rate, share, losses[precision] = _train(model, precision)
            rates[precision] = rate
            rows.append((name, precision, rate, "unknown" if share is None else f"{share:.1%}", losses[precision]))
            if precision == "bf16" and share is not None:
                claims.append(Claim(f"{name}: MFU in BF16 at {LENGTH} tokens", share, at_least=mfu))
        claims.append(Claim(f"{name}: FP8 to BF16, rate", rates["fp8"] / rates["bf16"], at_least=1.0))
        claims.append(Claim(f"{name}: FP8 to BF16, loss", abs(losses["fp8"] / losses["bf16"] - 1), at_most=0.02))
    print(torch.cuda.get_device_name())
    print(table(("model", "precision", "tokens/s", "MFU", "loss of the last step"), rows))
    return verdict(claims)


def _train(model, precision: str) -> tuple[float, float | None, float]:
    """Tokens per second, MFU (None if the device's peak is not known), and the loss of the last step."""
    import torch

    from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, model_config
    from nemotron_assets.model.packing import Packing
    from nemotron_assets.recipe import load_recipe
    from nemotron_assets.training import flops
    from nemotron_assets.training.losses import NextToken
    from nemotron_assets.training.precision import autocast, use_fp8
    from nemotron_assets.training.stream import Batch

    device = torch.device("cuda")
    settings = load_recipe("nano2").train.base.model_copy(update={"precision": precision})
    config = model_config(model, VOCABULARY, LENGTH)
    student = empty_model(config)
    weights = dict(fresh_weights(dict(student.named_parameters()), config, 0))
    if precision == "fp8":
        use_fp8(student, settings, LENGTH, device)
    student.to_empty(device=device).load_state_dict(weights)
    student.train().gradient_checkpointing_enable()
    loss_of = torch.compile(NextToken(student))
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4, fused=True)
    generator = torch.Generator().manual_seed(0)
    start = torch.randint(0, VOCABULARY, (STEPS + WARM_UP, 1), generator=generator)
    for step in range(STEPS + WARM_UP):
        if step == WARM_UP:
            torch.cuda.synchronize()
            clock = time.perf_counter()
        tokens = ((start[step] + torch.arange(LENGTH)) % VOCABULARY)[None].to(device)  # counting can be learnt
        targets = tokens.roll(-1, 1)
        targets[:, -1] = -100
        with autocast(settings, device):
            loss = loss_of(Batch(tokens, targets, Packing.of([[LENGTH]], LENGTH, device))) / (LENGTH - 1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - clock
    peak = flops.peak(device)
    done = STEPS * flops.of_training(config, [LENGTH])
    return STEPS * LENGTH / seconds, None if peak is None else done / seconds / peak, loss.item()
