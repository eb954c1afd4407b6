# Sourced by scripts that need packages of other suites of Debian than this machine's; installs nothing.
# Entries for other suites repeat the machine's own entry for the release with the suite name changed.
. /etc/os-release

# entries SUITE FILE: FILE.list and FILE.sources with the machine's own entries, for another suite
entries() {
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -f "$file" ] || continue
		sed -n "/^deb .* $VERSION_CODENAME /s/ $VERSION_CODENAME / $1 /p" "$file" >>"$2.list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -f "$file" ] || continue
		# one paragraph each; only that of the release itself
		awk -v RS= -v ORS='\n\n' -v own="$VERSION_CODENAME" -v suite="$1" \
			'$0 ~ "\nSuites:[^\n]* ?" own "([ \n]|$)" { sub(/\nSuites:[^\n]*/, "\nSuites: " suite); print }' \
			"$file" >>"$2.sources"
	done
}
