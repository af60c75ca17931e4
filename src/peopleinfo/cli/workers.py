"""Several processes that serve, and the one that starts them, replaces those that die, and ends them."""

from __future__ import annotations

import signal
from multiprocessing import connection

from uvicorn.supervisors import Multiprocess


class Supervisor(Multiprocess):
    """uvicorn's, which also hears when it is told a second time to end."""

    def join_all(self) -> None:
        """Wait until every worker has ended; when told to end once more, end them at once, and this process by that signal."""
        waiting = [process.process.sentinel for process in self.processes]
        while waiting:
            for number in self.signal_queue:
                if number in (signal.SIGINT, signal.SIGTERM):
                    self._end_at_once(number)
            for ended in connection.wait(waiting, timeout=0.1):
                waiting.remove(int(ended))  # type: ignore[arg-type] # a sentinel is a number
        super().join_all()

    def _end_at_once(self, number: int) -> None:
        for process in self.processes:
            process.process.kill()
        super().join_all()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
