"""Many networks in one call: in lanes or one by one, on threads or an executor's workers."""
