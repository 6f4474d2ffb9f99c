package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// startWith starts a process with a niceness, as far as that is allowed. What is measured here are
// processes that share their processors with others, the attackers among them, and with whatever else
// runs on the machine.
//
// Linux has a niceness for each thread, which counts among those of a session, and one for each session,
// which counts among those. So each process has a session of its own.
func startWith(niceness int, command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true,
		// Nothing else would end it if this process were killed.
		Pdeathsig: syscall.SIGKILL,
	}
	if err := command.Start(); err != nil {
		return err
	}
	pid := command.Process.Pid
	// It hardly has more than one thread yet; those to come are like it.
	syscall.Setpriority(syscall.PRIO_PGRP, pid, niceness)
	os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), fmt.Append(nil, niceness), 0)
	return nil
}
