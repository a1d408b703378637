package golden

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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

// draw is the document that a page becomes once its script ran. A browser that hangs is stopped and tried again; ok is false where it
// draws not even an empty page.
func draw(t *testing.T, page string) (dom []byte, ok bool) {
	t.Helper()
	var err error
	for range 2 {
		if dom, err = dump(t, "file://"+page); err == nil {
			return dom, true
		}
	}
	if _, empty := dump(t, "about:blank"); empty != nil {
		return nil, false
	}
	t.Fatalf("%s is not drawn, an empty page is: %v", page, err)
	return nil, false
}

// dump gives the browser half a minute and its own folder, and asks it for nothing from the network. The browser's helpers may outlive it
// with its output open: what it wrote until then is the document. They may write to the folder still, which is why it is not the test's own.
func dump(t *testing.T, url string) ([]byte, error) {
	t.Helper()
	home, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+home, "--dump-dom", url)
	cmd.WaitDelay = 2 * time.Second
	dom, err := cmd.Output()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return dom, err
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
		dom, ok := draw(t, page)
		if !ok {
			t.Log("the Chromium in PATH does not even draw an empty page: this one is not drawn")
			continue
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
