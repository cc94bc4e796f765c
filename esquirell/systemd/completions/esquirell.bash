# Completion of esquirell for bash: the program itself knows its commands, options and names.
_esquirell() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
        plain) COMPREPLY+=("$value") ;;
        file) compopt -o default ;;
        dir) compopt -o dirnames ;;
        esac
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _ESQUIRELL_COMPLETE=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F _esquirell esquirell
