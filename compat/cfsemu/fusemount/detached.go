package fusemount

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// detached makes a FUSE mount that is nowhere yet, to be served through
// connection, a descriptor of /dev/fuse. The mount ends with the file unless
// it is attached before.
func detached(connection int) (*os.File, error) {
	fs, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("new FUSE file system: %w", err)
	}
	defer func() { _ = unix.Close(fs) }() // it has done its work, or the error is known
	for _, option := range [][2]string{
		{"source", "/dev/fuse"}, {"fd", fmt.Sprint(connection)}, {"rootmode", "40000"}, {"user_id", "0"}, {"group_id", "0"},
	} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return nil, fmt.Errorf("FUSE option %s=%s: %w", option[0], option[1], err)
		}
	}
	for _, option := range []string{"default_permissions", "allow_other"} {
		if err := unix.FsconfigSetFlag(fs, option); err != nil {
			return nil, fmt.Errorf("FUSE option %s: %w", option, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("create FUSE file system: %w", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, fmt.Errorf("mount FUSE file system: %w", err)
	}
	return os.NewFile(uintptr(root), "FUSE mount"), nil
}

// attach puts a detached mount, or a detached copy of one, at target.
func attach(root *os.File, target string) error {
	return unix.MoveMount(int(root.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// refusePoll makes the kernel ask once whether files can be polled, and never
// again: Go's runtime would ask so for each file it opens, while it holds what
// the answer needs when this process is the one that opens it.
func refusePoll(root *os.File) error {
	fd, err := unix.Openat(int(root.Fd()), ".go-fuse-epoll-hack", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("first access: %w", err)
	}
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return unix.Close(fd)
}
