package rt

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var npyHeader = regexp.MustCompile(`^\{\s*'descr':\s*'([^']*)',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([0-9, ]*)\),?\s*\}\s*$`)

// readNpy reads NumPy's format, versions 1 to 3, C order.
func readNpy(data []byte) (*Value, error) {
	if len(data) < 12 {
		return nil, fmt.Errorf("the header is cut off")
	}
	size, at := int(binary.LittleEndian.Uint16(data[8:])), 10
	if data[6] > 1 {
		size, at = int(binary.LittleEndian.Uint32(data[8:])), 12
	}
	if size > len(data)-at {
		return nil, fmt.Errorf("the header is longer than the file")
	}
	m := npyHeader.FindSubmatch(data[at : at+size])
	if m == nil || string(m[2]) == "True" {
		return nil, fmt.Errorf("unsupported header (only plain types in C order are read)")
	}
	v := &Value{Elem: 255}
	width, err := strconv.Atoi(strings.TrimPrefix(string(m[1]), "<U"))
	if err == nil && strings.HasPrefix(string(m[1]), "<U") {
		v.Elem = STRING
	}
	for e, info := range elemInfo {
		if info.npy == string(m[1]) && info.npy != "" {
			v.Elem = Elem(e)
		}
	}
	for _, f := range strings.Split(string(m[3]), ",") {
		if f = strings.TrimSpace(f); f != "" {
			d, err := strconv.Atoi(f)
			if err != nil {
				return nil, err
			}
			v.Shape = append(v.Shape, d)
		}
	}
	if v.Elem == STRING {
		return v, v.readRunes(data[at+size:], width)
	}
	return v, v.fill(data[at+size:], nil)
}

// readRunes reads strings of width characters, four bytes each, filled up with zeros.
func (v *Value) readRunes(data []byte, width int) error {
	n, err := checkedLen(v.Shape)
	if err != nil || width < 0 || width > maxFile || n > 0 && width == 0 || len(data)%max(4*width, 1) != 0 || len(data)/max(4*width, 1) != n {
		return fmt.Errorf("%d bytes for strings of %d characters, shape %v", len(data), width, v.Shape)
	}
	for ; len(v.Text) < n; data = data[4*width:] {
		var b strings.Builder
		for i := range width {
			b.WriteRune(rune(binary.LittleEndian.Uint32(data[4*i:])))
		}
		v.Text = append(v.Text, strings.TrimRight(b.String(), "\x00"))
	}
	return nil
}

// runes are strings as readRunes reads them.
func runes(text []string) (data []byte, width int) {
	width = 1
	for _, s := range text {
		width = max(width, utf8.RuneCountInString(s))
	}
	for _, s := range text {
		at := len(data)
		data = append(data, make([]byte, 4*width)...)
		for i, r := range []rune(s) {
			binary.LittleEndian.PutUint32(data[at+4*i:], uint32(r))
		}
	}
	return data, width
}

// WriteNpy writes a tensor in NumPy's format, to a temporary name that is then renamed.
func WriteNpy(path string, v *Value) error {
	shape := make([]string, len(v.Shape))
	for i, d := range v.Shape {
		shape[i] = strconv.Itoa(d) + ","
	}
	descr, data := elemInfo[v.Elem].npy, v.Data
	if v.Elem == STRING {
		var width int
		data, width = runes(v.Text)
		descr = "<U" + strconv.Itoa(width)
	}
	h := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.Join(shape, " "))
	h += strings.Repeat(" ", 63-(10+len(h))%64) + "\n"
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(h)), byte(len(h)>>8))
	return writeFile(path, append(append(b, h...), data...))
}

// writeFile writes to a temporary name in the same folder and renames it.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
