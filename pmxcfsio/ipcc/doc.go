// Package ipcc is pmxcfs's IPC: what the cluster file system answers to
// requests, without reading its mount. Reading a configuration file this way
// never disturbs a process that replaces it.
//
// Client asks a pmxcfs; Listen serves what an emulated one answers. Answers
// are the bytes that pmxcfs sends; what is in them is the caller's to read.
package ipcc
