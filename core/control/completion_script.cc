#include "control/completion_script.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace circus::control {

namespace {

// COMP_WORDBREAKS: where bash takes a colon or = for the end of a word, it wants only what comes behind.
constexpr std::string_view kBash = R"SH(# bash completion of circusctl; printed by `circusctl completion bash`
_circusctl() {
    local line=${COMP_LINE:0:COMP_POINT} kind='' candidate doc cut=''
    local word=${line##*[[:space:]]} breaks=${COMP_WORDBREAKS//[^:=]/}
    if [[ -n $breaks && $word == *["$breaks"]* ]]; then
        cut=${word%"${word##*["$breaks"]}"}
    fi
    COMPREPLY=()
    {
        read -r kind
        while IFS=$'\t' read -r candidate doc; do
            [[ $candidate == *[.=] ]] && compopt -o nospace
            candidate=${candidate#"$cut"}
            [[ $candidate == *[![:alnum:]_.:=/@%+,-]* ]] && printf -v candidate %q "$candidate"
            COMPREPLY+=("$candidate")
        done
    } < <("${1/#\~\//$HOME/}" complete "$line" 2>/dev/null)
    [[ $kind == files ]] && compopt -o default
    return 0
}
complete -F _circusctl circusctl
)SH";

constexpr std::string_view kZsh = R"SH(#compdef circusctl
# zsh completion of circusctl; printed by `circusctl completion zsh`
_circusctl() {
    local line="${(j: :)${(@q)words[1,CURRENT-1]}} $PREFIX" row
    local -a rows candidates suffix
    rows=("${(@f)$(_call_program circusctl ${(q)words[1]} complete ${(q)line} 2>/dev/null)}")
    if [[ $rows[1] == files ]]; then
        _files
        return
    fi
    shift rows
    for row in $rows; do
        [[ ${row%%$'\t'*} == *[.=] ]] && suffix=(-S '')
        candidates+=("${${row%%$'\t'*}//:/\\:}:${row#*$'\t'}")
    done
    _describe -V circusctl candidates "${suffix[@]}"
}
if [[ $funcstack[1] == _circusctl ]]; then
    _circusctl "$@"
else
    compdef _circusctl circusctl
fi
)SH";

constexpr std::string_view kFish = R"SH(# fish completion of circusctl; printed by `circusctl completion fish`
function __circusctl_complete
    set -l rows (circusctl complete (commandline --current-process --cut-at-cursor | string collect) 2>/dev/null)
    if test "$rows[1]" = files
        __fish_complete_path (commandline --current-token --cut-at-cursor)
    else
        printf '%s\n' $rows[2..]
    end
end
complete --command circusctl --no-files --arguments '(__circusctl_complete)'
)SH";

// What stands before circusctl (sudo, A=1) is not its business. Where no word is called so, an alias is
// first.
void drop_program(LineStart& line) {
    const auto program = std::find_if(line.words.begin(), line.words.end(), [](const std::string& word) {
        return word == "circusctl" || word.ends_with("/circusctl");
    });
    if (program != line.words.end())
        line.words.erase(line.words.begin(), program + 1);
    else if (!line.words.empty())
        line.words.erase(line.words.begin());
}

}  // namespace

Result<std::string> completion_script(std::string_view shell) {
    if (shell == "bash") return std::string(kBash);
    if (shell == "zsh") return std::string(kZsh);
    if (shell == "fish") return std::string(kFish);
    return Error{cat("no such shell: ", py_repr(shell), "; there are bash, zsh and fish")};
}

std::string completion_text(const std::string& line, const Ask& ask) {
    LineStart start = split_line(line);
    drop_program(start);
    const Completion completion = complete(start, ask);
    std::string text = completion.files ? "files\n" : "words\n";
    for (const auto& [word, doc] : completion.candidates) text += cat(word, "\t", doc, "\n");
    return text;
}

}  // namespace circus::control
