"""The compiled path: explicit loops, under the same names as in `fastnn.reference`."""
