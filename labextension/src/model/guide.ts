/** A page of the documentation without its pictures, and with links to other pages as plain text. */
export function standalone(markdown: string): string {
  return markdown
    .replace(/^(\|.*\|\n)+/gm, table => (table.includes('![') ? '' : table))
    .replace(/!\[[^\]]*\]\([^)]*\)\n*/g, '')
    .replace(/\[([^\]]*)\]\((?!https?:)[^)]*\)/g, '$1');
}
