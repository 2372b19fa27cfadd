"""Reads an export to Megatron with MaxText: ``python maxtext_mmap.py OUT.npz ARGUMENTS``."""

import json
import sys
from types import SimpleNamespace

import grain.python as grain
import numpy as np
from maxtext.input_pipeline import data_processing_utils, grain_data_processing
from maxtext.input_pipeline._mmap_datasource import get_mmap_dataset

out, arguments = sys.argv[1], json.loads(sys.argv[2])
settings = SimpleNamespace(  # what docs/trainers.md names, and defaults
    grain_file_type="mmap",
    mmap_eod_id=arguments["eos"],
    mmap_split_sentences=False,
    max_target_length=arguments["seq_len"],
    reset_attention_mask=True,
    eod_mask_loss=True,
    packing_max_segments_per_sample=-1,
)
# one process and windows one by one: no devices are asked
data_processing_utils.get_local_batch_size = lambda config: 1
grain_data_processing._make_mmap_multiprocessing_options = lambda *_: grain.MultiprocessingOptions(num_workers=0)
windows = get_mmap_dataset(
    arguments["folder"],
    split_sentences=False,
    seq_length=arguments["seq_len"],
    eod_id=arguments["eos"],
    shuffle=False,
    shuffle_seed=0,
    num_epoch=1,
    host_index=0,
    host_count=1,
    num_threads=1,
    prefetch_buffer_size=2,
    apply_transforms=grain_data_processing._apply_mapdataset_transforms,
)
batches = list(grain_data_processing._mmap_pretrain_pipeline(windows, settings, "text", 0, 1))
np.savez(out, **{name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]})
