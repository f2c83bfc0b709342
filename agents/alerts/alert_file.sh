#!/bin/sh
# alert_file.sh: writes every event it is told of as a line into a file. For logs and as a template.
# Apache-2.0. Needs nothing but a POSIX shell.
#
#   <alert id="log" path="/usr/share/systole/alerts/alert_file.sh">
#     <recipient id="log-file" value="/var/log/systole/alerts.log"/>
#   </alert>
#
# The recipient is the file; without one nothing is written and the exit code is 2. Exit code 1: it cannot be written.
# Environment: CRM_alert_* as in docs/alerts.md.

file="${CRM_alert_recipient:-}"
if [ -z "$file" ]; then
	echo "no recipient: give the alert a <recipient> whose value is a file" >&2
	exit 2
fi

line() {
	# One write of one line: several agents may write at once.
	printf '%s %s: %s\n' "${CRM_alert_timestamp:-?}" "${CRM_alert_node_sequence:-?}" "$*" >>"$file" || exit 1
	exit 0
}

case "${CRM_alert_kind:-}" in
node)
	line "node $CRM_alert_node is $CRM_alert_desc"
	;;
fencing)
	line "fencing of $CRM_alert_node, exit code $CRM_alert_rc: $CRM_alert_desc"
	;;
resource)
	what="$CRM_alert_task"
	[ "${CRM_alert_interval:-0}" = 0 ] || what="$what every $CRM_alert_interval ms"
	if [ "$CRM_alert_rc" = "$CRM_alert_target_rc" ]; then
		line "$what of $CRM_alert_rsc on $CRM_alert_node: $CRM_alert_desc"
	fi
	line "$what of $CRM_alert_rsc on $CRM_alert_node FAILED: $CRM_alert_desc (exit code $CRM_alert_rc, expected $CRM_alert_target_rc)"
	;;
attribute)
	line "attribute $CRM_alert_attribute_name of $CRM_alert_node is '${CRM_alert_attribute_value:-}'"
	;;
*)
	line "unknown event ${CRM_alert_kind:-without a kind}"
	;;
esac
