"""Networks of any size: matrix products by tiles held in registers.

- `dense`: the matrix product; `narrow`, `few_rows`: the same for layers with few outputs, and for few rows.
- `passes`: loops over a block of a matrix, such as activations; `losses`: the loss of a batch; `noise`: dropout, too.
- `layers`: the table that describes a network, and the way forward and backward through it.
- `run`: the kernel that trains, and its step; `step`, `end_epoch`: the parts that it calls by address.
- `job_record`: what that kernel is told; `prepare`: how a job becomes such a record.
- `predict`: outputs, and the loss with its gradient; `normal_equations`: what a Levenberg-Marquardt step is made of.
"""
