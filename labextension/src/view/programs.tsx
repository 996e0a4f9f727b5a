import type { IProgram } from '../model/types';
import { programName, programState } from '../model/phrases';
import { translated } from '../model/servertexts';
import { Section } from './folding';
import type { IReportProps } from './props';
import { h } from './jsx';

/** The programs in the server's own app that belong to no kernel or terminal. */
export function Programs(props: IReportProps): JSX.Element | null {
  const { report, trans } = props;
  const programs: IProgram[] = report.programs ?? []; // an older server sends none
  if (programs.length === 0) {
    return null;
  }
  return (
    <Section {...props} fold="programs" label={trans.__('Other programs')}>
      <p className="jp-AS-hint">
        {trans.__(
          'They run in this app, but in none of its kernels and terminals. Nothing here ends them.'
        )}
      </p>
      <ul>
        {programs.map(program => (
          <li key={program.id} className="jp-AS-removed" data-program={program.kind}>
            <div
              className="jp-AS-line"
              title={translated(program.detail_parts, program.detail, trans)}
            >
              <span className="jp-AS-name">
                <bdi className="jp-AS-title">{programName(program, trans)}</bdi>
              </span>
              <span className="jp-AS-why">{programState(program, trans)}</span>
            </div>
          </li>
        ))}
      </ul>
    </Section>
  );
}
