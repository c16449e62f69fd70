package hacfg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFenceDevicesAndConnectionsAreRead(t *testing.T) {
	f, problems, err := ParseFence("fence.cfg", []byte(`
# comment
device d0 fence_a ip=1 p="a b"
  device d1:2 fence_b x	
connect d0:x xnode=node-7 plug=1
connect d1:2 node=b q='c d'
device d0:02 fence_a y
noise
Device d2 fence_a x
device d2 fence_a
0
`))
	require.NoError(t, err)
	require.Equal(t, []string{
		"fence.cfg ignore line 8: noise\n",
		"fence.cfg ignore line 9: Device d2 fence_a x\n",
		"fence.cfg ignore line 10: device d2 fence_a\n",
	}, warnings(problems))
	require.Equal(t, &Fence{Devices: map[string]*FenceDevice{
		"d0": {Priority: 2, Parts: map[string]*FencePart{
			"1":  {Agent: "fence_a", Args: []string{"ip=1", "p=a b"}, Nodes: map[string][]string{"node": {"plug=1"}}},
			"02": {Agent: "fence_a", Args: []string{"y"}},
		}},
		"d1": {Priority: 1, Parts: map[string]*FencePart{
			"2": {Agent: "fence_b", Args: []string{"x"}, Nodes: map[string][]string{"b": {"q=c d"}}},
		}},
	}}, f)
	_, err = f.Write()
	require.EqualError(t, err, "connection of node 'b' to device 'd1:2': arguments cannot be written without quotes")
	f.Devices["d1"].Parts["2"].Nodes["b"] = []string{"q=c"}
	out, err := f.Write()
	require.NoError(t, err)
	require.Equal(t, "\ndevice d1:2 fence_b x\nconnect d1:2 node=b q=c\n"+
		"\ndevice d0:02 fence_a y\n\ndevice d0:1 fence_a 'ip=1' 'p=a b'\nconnect d0:1 node=node plug=1\n", string(out))
}

func TestFenceLinesThatContradictAreAnError(t *testing.T) {
	f, problems, err := ParseFence("fence.cfg", []byte("connect d0 node=a x\ndevice d0 fence_a x\ndevice d0:1 fence_a x\nconnect d0:2 node=a x\n"+
		"connect d0 node a=b\nconnect d0 node=a x\nconnect d0:1 node=a y\nnoise\n"))
	require.Nil(t, f)
	require.Len(t, problems, 1)
	var failed *FenceError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "Encountered error(s) on parsing 'fence.cfg':\n"+
		"line 1: device 'd0' must be declared before you can connect to it\n"+
		"line 3: device 'd0:1' already declared\n"+
		"line 4: No parallel device 'd0:2' found\n"+
		"line 5: node=nodename needed to connect device 'd0' to node\n"+
		"line 7: node 'a' already connected to device 'd0:1'\n", failed.Reason())
}

func TestFenceOptionsAreForAShell(t *testing.T) {
	for arg, want := range map[string]string{
		"ip=1.2": "--ip=1.2", "p=x": "-p x", "p=": "-p ''", "x": "-x", "ssh": "--ssh", "-l": "---l",
		"password=a b": "--password='a b'", "a=b=c": "-a b", "": "--", "=x": "--=x", "n=$(id)": "-n '$(id)'",
	} {
		c := FenceCommand{Agent: "fence_a", Args: []string{arg}}
		line, err := c.Line()
		require.NoError(t, err)
		require.Equal(t, "fence_a "+want, line)
	}
	c := FenceCommand{Agent: "fence_a", Args: []string{"p=\x00"}}
	_, err := c.Line()
	require.ErrorContains(t, err, "argument 'p' of fence_a")
}

func TestFenceDevicesAreTriedInOrder(t *testing.T) {
	f, _, err := ParseFence("f", []byte("device a agent1 x\ndevice b:2 agent2 x\ndevice b:1 agent3 x\nconnect b:2 node=n q\nconnect b:1 node=n r\nconnect a node=m s\nconnect a node=n t\n"))
	require.NoError(t, err)
	require.Equal(t, []FenceCommand{{Agent: "agent1", Part: "1", Args: []string{"x", "t"}}}, f.Commands("n", 0))
	require.Equal(t, f.Commands("n", 0), f.Commands("n", -3))
	require.Equal(t, []FenceCommand{{Agent: "agent3", Part: "1", Args: []string{"x", "r"}}, {Agent: "agent2", Part: "2", Args: []string{"x", "q"}}}, f.Commands("n", 1))
	require.Nil(t, f.Commands("n", 2))
	require.Nil(t, f.Commands("", 0))
	require.Nil(t, f.Commands("other", 0))
	require.Equal(t, 2, f.CountDevices("n"))
	require.Equal(t, 1, f.CountDevices("m"))
	require.Zero(t, f.CountDevices("other"))
}

func TestFenceDevicesOfOnePriorityAreNotWritten(t *testing.T) {
	f := &Fence{Devices: map[string]*FenceDevice{"a": {}, "b": {}}}
	_, err := f.Write()
	require.EqualError(t, err, "Device 'b' reuses priority! Priorities must be unique")
}

func TestFenceDevicesThatCouldNotBeReadAreNotWritten(t *testing.T) {
	for raw, want := range map[string]string{
		"device d0 fence_a \"open\n":                             "device 'd0:1': no arguments",
		"device d0 fence_a x\nconnect d0 node=n \"open\n":        "connection of node 'n' to device 'd0:1': no arguments",
		"device d0 fence_a x\nconnect d0 node=n 'a b'\n":         "connection of node 'n' to device 'd0:1': arguments cannot be written without quotes",
		"device d0 fence_a a\x00b\n":                             `device 'd0:1': shell_quote(): No way to quote string containing null (\000) bytes`,
		"device -d fence_a x\n":                                  "device '-d:1': not a name of a device",
		"device d0 fence_a x\nconnect d0 node=n ''\n":            "connection of node 'n' to device 'd0:1': arguments cannot be written without quotes",
		"device d0 fence_a x\nconnect d0 node=n 'a\xc2\xa0' b\n": "",
	} {
		f, _, err := ParseFence("f", []byte(raw))
		require.NoError(t, err)
		out, err := f.Write()
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, want)
		require.Nil(t, out)
	}
}
