"""Training members in one process: a chunk of them in, what became of them out. Executors call this."""

from fastnn.members.job import MembersJob, Outcome
from fastnn.members.training import train_members

__all__ = ["MembersJob", "Outcome", "train_members"]
