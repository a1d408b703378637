package golden

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mmc/driver"
)

// browser is a Chromium in PATH, or "".
func browser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

var ready = regexp.MustCompile(`data-ready="(\d+)"`)

// TestReport writes the page of a model and of one whose names are hostile, wants nothing in it that loads or runs from elsewhere, and
// where there is a Chromium lets that draw it: every node of the lists must be there, and nothing of the names may have become markup.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	hostile := filepath.Join(dir, "hostile")
	if err := os.Mkdir(hostile, 0o755); err != nil {
		t.Fatal(err)
	}
	bad := marshal(t, smallModel(func(s string) string {
		return s + `</script><script>document.title="owned"</script><img src=x onerror=alert(1)>`
	}))
	if err := os.WriteFile(filepath.Join(hostile, "model.onnx"), bad, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"models/digits-vit", hostile} {
		c, err := driver.Compile(model, driver.Options{})
		if err != nil {
			t.Fatal(err)
		}
		page := filepath.Join(dir, "report.html")
		if err := driver.Report(page, model, driver.Options{}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if strings.Count(text, "<script") != 2 || strings.Contains(text, "<img") || strings.Contains(text, "http") || strings.Contains(text, "src=\"") {
			t.Errorf("%s: the page holds markup that is not its own", model)
		}
		if browser() == "" {
			t.Log("no Chromium in PATH: the page is not drawn")
			continue
		}
		dom, err := exec.Command(browser(), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "file://"+page).Output()
		if err != nil {
			t.Fatal(err)
		}
		m := ready.FindSubmatch(dom)
		least := len(c.Graph.Nodes) + len(c.Plan.Steps()) + 1
		if m == nil {
			t.Fatalf("%s: the page's script did not end:\n%.2000s", model, dom)
		}
		var drawn int
		fmt.Sscan(string(m[1]), &drawn)
		if drawn < least || strings.Count(string(dom), "<li") != drawn || strings.Contains(string(dom), "<img") || strings.Contains(string(dom), "<title>owned") {
			t.Errorf("%s: %d nodes drawn, want at least %d, %d list items", model, drawn, least, strings.Count(string(dom), "<li"))
		}
	}
}
