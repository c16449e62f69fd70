// Package corpus reads recorded scenarios from disk and shows how a result
// differs from what was recorded.
//
// A scenario is a folder that holds a file named cmdlist, or a .txtar archive
// of such a folder. The package only reads. It knows nothing of what the files
// mean, and it links no test code, so that the commands can use it too.
package corpus
