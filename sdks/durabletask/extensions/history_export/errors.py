"""What goes wrong with export jobs."""


class ExportJobError(Exception):
    """Something about an export job; ``job_id`` is which."""

    def __init__(self, message: str, *, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id


class ExportJobInvalidTransitionError(ExportJobError, ValueError):
    """The job's status does not allow the operation."""

    def __init__(
        self, operation: str, from_status: str | None, to_status: str | None, *, job_id: str | None = None
    ) -> None:
        super().__init__(
            f"The export job '{job_id}' is {from_status or 'not there'}: '{operation}', which would make it "
            f"{to_status}, is not allowed.",
            job_id=job_id,
        )
        self.operation = operation
        self.from_status = from_status
        self.to_status = to_status


class ExportJobNotFoundError(ExportJobError, LookupError):
    """There is no such export job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no export job '{job_id}'.", job_id=job_id)
