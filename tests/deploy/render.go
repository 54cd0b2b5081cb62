// Renders a chart's templates with Go's own template engine, as Helm does, for tests that have no Helm.
//
// Standard input: {"files": {path: text}, "cases": [{"Values": ..., "Release": ..., "Chart": ...}]}.
// Standard output: a list, for each case the rendered text of each file whose name has no leading underscore.
// It knows the few functions of Helm that the chart uses; another one is an error.
package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path"
	"sort"
	"strings"
	"text/template"
)

type input struct {
	Files map[string]string        `json:"files"`
	Cases []map[string]interface{} `json:"cases"`
}

func yaml(value interface{}, indent string) string {
	switch v := value.(type) {
	case map[string]interface{}:
		if len(v) == 0 {
			return indent + "{}"
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		lines := []string{}
		for _, name := range names {
			lines = append(lines, indent+quote(name)+":\n"+yaml(v[name], indent+"  "))
		}
		return strings.Join(lines, "\n")
	case []interface{}:
		if len(v) == 0 {
			return indent + "[]"
		}
		lines := []string{}
		for _, item := range v {
			lines = append(lines, indent+"-\n"+yaml(item, indent+"  "))
		}
		return strings.Join(lines, "\n")
	default:
		return indent + quote(v)
	}
}

func quote(value interface{}) string {
	text, _ := json.Marshal(value)
	return string(text)
}

func render(files map[string]string, values map[string]interface{}) (map[string]string, error) {
	root := template.New("chart").Option("missingkey=error")
	root.Funcs(template.FuncMap{
		"include": func(name string, data interface{}) (string, error) {
			out := strings.Builder{}
			err := root.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"toYaml":  func(value interface{}) string { return yaml(value, "") },
		"nindent": nindent,
		"quote":   func(value interface{}) string { return quote(fmt.Sprint(value)) },
		"default": func(other string, text string) string {
			if text == "" {
				return other
			}
			return text
		},
		"contains":   func(part string, text string) bool { return strings.Contains(text, part) },
		"trimSuffix": func(end string, text string) string { return strings.TrimSuffix(text, end) },
		"urlParse": func(text string) (map[string]interface{}, error) {
			parsed, err := url.Parse(text)
			if err != nil {
				return nil, err
			}
			return map[string]interface{}{"path": parsed.Path}, nil
		},
		"get":  func(from map[string]interface{}, name string) interface{} { return from[name] },
		"list": func(values ...interface{}) []interface{} { return values },
		"join": func(between string, values []interface{}) string {
			parts := []string{}
			for _, value := range values {
				parts = append(parts, fmt.Sprint(value))
			}
			return strings.Join(parts, between)
		},
		"trunc": func(most int, text string) string {
			if len(text) > most {
				return text[:most]
			}
			return text
		},
		"int": func(number float64) int { return int(number) },
	})
	for name, text := range files {
		if _, err := root.New(name).Parse(text); err != nil {
			return nil, err
		}
	}
	rendered := map[string]string{}
	for name := range files {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		out := strings.Builder{}
		if err := root.ExecuteTemplate(&out, name, values); err != nil {
			return nil, err
		}
		rendered[name] = out.String()
	}
	return rendered, nil
}

func nindent(by int, text string) string {
	space := strings.Repeat(" ", by)
	return "\n" + space + strings.ReplaceAll(text, "\n", "\n"+space)
}

func main() {
	given := input{}
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		panic(err)
	}
	all := []map[string]string{}
	for _, values := range given.Cases {
		rendered, err := render(given.Files, values)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		all = append(all, rendered)
	}
	json.NewEncoder(os.Stdout).Encode(all)
}
