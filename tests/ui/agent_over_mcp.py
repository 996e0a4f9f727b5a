"""An agent that uses two MCP servers of a JupyterLab. It runs a cell in a notebook of its own and
waits for the end of that cell. Meanwhile it lists the tools of both servers every ten seconds.

    python agent_over_mcp.py URL-OF-JUPYTER-MCP-SERVER TOKEN URL-OF-JUPYTER-SERVER-MCP CELL

It needs fastmcp. It lasts until it is killed.
"""

from __future__ import annotations

import asyncio
import sys

from fastmcp import Client

SECONDS = 10.0


async def main(notebooks: str, token: str, extension: str, cell: str) -> None:
    async with Client(notebooks, auth=token) as jupyter, Client(extension) as tools:
        notebook = {"notebook_name": "agent", "notebook_path": "agent.ipynb", "mode": "create"}
        await jupyter.call_tool("use_notebook", notebook)
        call = {"cell_index": 0, "cell_source": cell, "timeout": 3600}
        work = asyncio.ensure_future(jupyter.call_tool("insert_execute_code_cell", call))
        while True:
            if work.done():
                work.result()
            for client in (jupyter, tools):
                await client.list_tools()
            await asyncio.sleep(SECONDS)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
