# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a GGUF file of 306 MB that is nothing but random numbers: large enough to be interrupted, and not to be loaded.

make_large.py FILE
"""

import sys

import gguf
import numpy

writer = gguf.GGUFWriter(sys.argv[1], "llama")
writer.add_block_count(1)
writer.add_tensor("blk.0.attn_q.weight", numpy.random.default_rng().random((7650, 10000), dtype=numpy.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
