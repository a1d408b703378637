package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"mmc/frontend/onnx/onnxpb"

	"mmc/ir"
)

// mapping is a file's contents. They stay mapped for the life of the process: graphs alias them.
func mapFile(f *os.File) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", filepath.Base(f.Name()))
	}
	if fi.Size() == 0 {
		return nil, nil
	}
	return syscall.Mmap(int(f.Fd()), 0, int(fi.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
}

func mapPath(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mapFile(f)
}

// external opens the files that hold a model's external tensors: regular files below the model's folder, reached without
// links and without a second name, unless links are trusted.
type external struct {
	dir        string
	trustLinks bool
	files      map[string][]byte
	words      *ir.Words // the strings read so far
}

func (e *external) open(location string) ([]byte, error) {
	if data, ok := e.files[location]; ok {
		return data, nil
	}
	if location == "" || strings.ContainsAny(location, "\\\x00") || !filepath.IsLocal(location) {
		return nil, fmt.Errorf("external data location %q is not a path below the model's folder", location)
	}
	f, err := e.openFile(location)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := mapFile(f)
	if err == nil {
		e.files[location] = data
	}
	return data, err
}

func (e *external) openFile(location string) (*os.File, error) {
	if e.trustLinks {
		return os.Open(filepath.Join(e.dir, location))
	}
	root, err := os.OpenRoot(e.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := noLinks(root, location); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(location, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, unreadable(location, err)
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("external data %q is not a regular file", location)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); err == nil && ok && st.Nlink > 1 {
		err = fmt.Errorf("external data %q has several hard links (use --trust-links to allow links)", location)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unreadable says what the system has against a file, without the names that package os gives its own steps.
func unreadable(location string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("external data %q: %w", location, err)
}

func noLinks(root *os.Root, location string) error {
	parts := strings.Split(filepath.ToSlash(filepath.Clean(location)), "/")
	for i := range parts {
		p := strings.Join(parts[:i+1], "/")
		fi, err := root.Lstat(p)
		if err != nil {
			return unreadable(location, err)
		}
		if fi.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("external data %q goes through a link (use --trust-links to allow links)", location)
		}
	}
	return nil
}

// data is the part of an external file that a tensor of the given size names.
func (e *external) data(entries []*onnxpb.StringStringEntryProto, size int64) ([]byte, error) {
	location := ""
	offset, length := int64(0), size
	seen := map[string]bool{}
	for _, kv := range entries {
		var err error
		if seen[kv.Key] {
			err = errors.New("is given twice")
		}
		seen[kv.Key] = true
		switch kv.Key {
		case "location":
			location = kv.Value
		case "offset":
			offset, err = nonNegative(kv.Value)
		case "length":
			length, err = nonNegative(kv.Value)
		case "checksum", "basepath":
		default:
			err = errors.New("is not a known key")
		}
		if err != nil {
			return nil, fmt.Errorf("external data: %q %w", kv.Key, err)
		}
	}
	file, err := e.open(location)
	if err != nil {
		return nil, err
	}
	if length != size {
		return nil, fmt.Errorf("external data of %d bytes for a tensor of %d", length, size)
	}
	if offset > int64(len(file)) || length > int64(len(file))-offset {
		return nil, fmt.Errorf("external data %q: bytes %d to %d of a file of %d", location, offset, offset+length, len(file))
	}
	return file[offset : offset+length : offset+length], nil
}

func nonNegative(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("is %q, want a number from 0", s)
	}
	return n, nil
}
