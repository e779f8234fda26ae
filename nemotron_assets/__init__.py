"""Nemotron Lakehouse: every dataset and model of the Nemotron Nano 2 release as a Dagster asset on a Delta table."""

import gc
import logging
import os

# What a process has imported by now, Dagster for example, lives as long as the process. The garbage collector need not
# look through it again and again while the definitions are loaded, which would take a tenth of the time.
gc.freeze()

# Threads of OpenMP, which PyTorch uses, sleep while they wait for each other. By default they keep the core busy. If
# another process wants the core too, each of them then waits for a turn of the scheduler: a step of training with two
# threads took 18 times as long beside three other processes. OpenMP reads this when PyTorch loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# torchao, which transformers imports, warns of kernels for other devices, and PyTorch of how torchao uses it.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
